// Sorts a table by a click on a head. A line whose first cell is empty belongs to the line above it;
// references (the first cell slanted) stay last.
for (const table of document.querySelectorAll(".scroll > table")) {
  const body = table.tBodies[0], heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  if (!body || body.rows.length < 3 || table.querySelector("img")) continue;
  const groups = () => [...body.rows].reduce((found, row) => {
    if (row.cells[0].textContent.trim() || !found.length) found.push([row]); else found.at(-1).push(row);
    return found;
  }, []);
  const key = (group, column) => {
    const cell = group[0].cells[column], text = cell.textContent.trim();
    const number = cell.style.textAlign === "right" ? parseFloat(text.replace(/[\[,]/g, "")) : NaN;
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === "number" ? -1 : typeof b === "number" ? 1 : a.localeCompare(b);
  const sort = (head, column) => {
    const sign = head.ariaSort === "ascending" ? -1 : 1;
    const last = group => Boolean(group[0].cells[0].querySelector(":scope > em:not(:has(strong))"));
    const sorted = groups().sort((a, b) => last(a) - last(b) || sign * compare(key(a, column), key(b, column)));
    heads.forEach(one => one.removeAttribute("aria-sort"));
    head.ariaSort = sign > 0 ? "ascending" : "descending";
    body.append(...sorted.flat());
  };
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    head.title = "Sort by this column";
    head.addEventListener("click", () => sort(head, column));
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(head, column); });
  });
}
// Paper has no clicks: what is folded is printed, too.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
