"""How large the project's code is, part by part, and how long its functions are.

    python benchmarks/structure.py [CHECKOUT ...]

One table a checkout: lines of code per folder (blank lines and comments included), the functions'
lengths (from `def` to the last line), modules of more than 300 lines, and the files that people
read by hand. Two checkouts of two commits show what a change of structure did.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

READ_BY_HAND = ("dvc.yaml", "dvc.lock", "params.yaml", "profiles/small.yaml")
LONG_FUNCTION, LONG_MODULE = 45, 300


def main() -> None:
    for folder in sys.argv[1:] or [str(Path(__file__).resolve().parents[1])]:
        print(f"{folder}\n")
        for name, value in describe(Path(folder)):
            print(f"| {name} | {value} |")
        print()


def describe(root: Path) -> Iterator[tuple[str, str]]:
    """Pairs of what was counted and the count."""
    package = root / "src" / "trapmid"
    for folder in sorted(p for p in package.iterdir() if p.is_dir() and any(p.glob("*.py"))):
        yield f"src/trapmid/{folder.name}", _lines(folder.rglob("*.py"))
    loose = [file for file in package.glob("*.py") if file.stem != "__init__"]
    yield f"src/trapmid, {len(loose)} loose modules", _lines(loose)
    for name in ("stages", "tests", "examples", "benchmarks"):
        yield name, _lines((root / name).rglob("*.py"))
    sources = [*package.rglob("*.py"), *(root / "stages").glob("*.py")]
    long = sorted((_length(file), file) for file in sources if _length(file) > LONG_MODULE)
    yield (
        f"modules of more than {LONG_MODULE} lines",
        ", ".join(f"{file.relative_to(root)} {lines}" for lines, file in long) or "none",
    )
    yield from _of_functions({file: ast.parse(file.read_text("utf-8")) for file in sources})
    for name in READ_BY_HAND:
        if (root / name).exists():
            yield (
                name,
                f"{_length(root / name)} lines, {(root / name).stat().st_size / 1000:.0f} kB",
            )


def _of_functions(trees: dict[Path, ast.Module]) -> Iterator[tuple[str, str]]:
    lengths = [
        ((node.end_lineno or 0) - node.lineno + 1, f"{file.stem}.{node.name}")
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = [length for length, _ in lengths]
    yield "functions", str(len(lines))
    yield (
        "their lines: median, 90th percentile",
        (f"{statistics.median(lines):.0f}, {statistics.quantiles(lines, n=10)[-1]:.0f}"),
    )
    long = sorted((one for one in lengths if one[0] > LONG_FUNCTION), reverse=True)
    longest = ", ".join(f"{name} {length}" for length, name in long) or "none"
    yield f"functions of more than {LONG_FUNCTION} lines", longest


def _lines(files: Iterator[Path] | list[Path]) -> str:
    return str(sum(map(_length, files)))


def _length(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    main()
