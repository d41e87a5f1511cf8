"""The HTML reference: it builds without a warning, and says what fields and methods hold."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_make_docs_runs_this_script() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "\ndocs: install\n\tpython docs/reference.py build/api\n" in makefile
    assert "build/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pdoc", reason="pdoc, of the extra `dev`, is not installed")
    folder = tmp_path_factory.mktemp("reference")
    command = [sys.executable, "docs/reference.py", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr  # a warning is exit code 1
    return folder


def text(page: Path) -> str:
    """The words of a page, its sources left out."""
    shown = re.sub(
        r'<div class="pdoc-code codehilite">.*?</pre></div>', "", page.read_text(), flags=re.S
    )
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", shown)))


@pytest.mark.slow
def test_every_module_has_a_page(pages: Path) -> None:
    modules = {
        file.relative_to(ROOT / "src").with_suffix("").as_posix().removesuffix("/__init__")
        for file in (ROOT / "src/trapmid").rglob("*.py")
    }
    nouns = {module for module in modules if module.startswith("trapmid/types/")}
    for module in modules - nouns:  # `trapmid.types` shows its nouns itself
        assert (pages / f"{module}.html").is_file()


@pytest.mark.slow
def test_fields_say_what_they_hold_and_what_is_refused(pages: Path) -> None:
    gmi = text(pages / "trapmid/attacks/gmi.html")
    assert "latents are clipped to [-bound, bound]; refused where it is not in (0, 1e+30]" in gmi
    assert "steps: int" in gmi
    types = text(pages / "trapmid/types.html")
    for words in (
        "(N, C), never probabilities",
        "logits: torch.Tensor",
        "scalar, with its gradient",
    ):
        assert words in types


@pytest.mark.slow
def test_nothing_is_swallowed_and_nothing_is_python_s_or_torch_s(pages: Path) -> None:
    """Markdown takes <row> for a tag of HTML; some docstrings nobody wrote."""
    made = (
        "Alias for field",
        "Create new instance",
        "Define the computation",
        "Initialize internal",
    )
    for page in (pages / "trapmid").rglob("*.html"):
        shown, words = page.read_text("utf-8"), text(page)
        assert not re.search(r"<(row|name|seed|method|arch|file|identity)\b", shown), page
        assert "ForwardRef" not in shown
        assert not [said for said in made if said in words], page
    scores = text(pages / "trapmid/scoring/scores.html")
    assert "what reports/scores/<section>/<row>.json holds" in scores
