"""Digests of code, on a small package written for the purpose, and on this project itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from trapmid import wiring
from trapmid.artifacts import sources
from trapmid.artifacts.sources import Definition, Sources

ROOT = Path(__file__).resolve().parents[2]

FILES = {
    "trapmid/__init__.py": '"""A package."""\n',
    "trapmid/tools.py": """
import os
from trapmid.deep import LIMIT as BOUND

def used(x: int) -> int:
    return helper(x) + BOUND

def helper(x):
    return x + 1

def unused():
    return os.name
""",
    "trapmid/deep.py": "LIMIT = 3\nOTHER = 4\n",
    "trapmid/shared.py": "class Base:\n    def run(self):\n        return 1\n",
    "trapmid/attacks/__init__.py": "",
    "trapmid/attacks/one.py": """
from dataclasses import dataclass

from trapmid import shared, tools

@dataclass
class Attack(shared.Base):
    steps: int

    def search(self):
        return tools.used(self.steps)
""",
    "trapmid/attacks/two.py": "class Attack:\n    pass\n",
    "trapmid/attacks/texts/words.txt": "hello",
    "stages/go.py": """
import importlib

def main():
    return importlib.import_module("trapmid.attacks.one")

if __name__ == "__main__":
    main()
""",
    "stages/_shared.py": "def run():\n    pass\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def listings(project: Path) -> dict[str, str]:
    found = Sources(project / "trapmid", project / "stages")
    return {unit: found.listing(*roots) for unit, roots in found.units().items()}


def names(listing: str) -> set[str]:
    return {line.split()[0] for line in listing.splitlines()}


def test_what_a_method_reaches(project: Path) -> None:
    """Through modules, bases, renamed imports; a name that nobody mentions is not among it."""
    found = listings(project)
    assert set(found) == {"stages/go", "attacks/one", "attacks/two"}
    assert names(found["attacks/one"]) == {
        "trapmid.attacks.one:Attack",
        "trapmid.shared:Base",
        "trapmid.tools:used",
        "trapmid.tools:helper",
        "trapmid.deep:LIMIT",
        "attacks/texts/words.txt",
    }
    assert names(found["stages/go"]) == {"go:main", "go:"}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("trapmid/tools.py", "x + 1", "x + 1  # a comment", set()),
        ("trapmid/tools.py", "def helper(x):\n", 'def helper(x):\n    """A docstring."""\n', set()),
        ("trapmid/tools.py", "x: int) -> int", "x: float) -> float", set()),
        ("trapmid/tools.py", "return os.name", "return os.sep", set()),
        ("trapmid/deep.py", "OTHER = 4", "OTHER = 5", set()),
        ("trapmid/tools.py", "x + 1", "x + 2", {"attacks/one"}),
        ("trapmid/deep.py", "LIMIT = 3", "LIMIT = 4", {"attacks/one"}),
        ("trapmid/shared.py", "return 1", "return 2", {"attacks/one"}),
        # A dataclass reads the annotations of its fields.
        ("trapmid/attacks/one.py", "steps: int", "steps: float", {"attacks/one"}),
        ("trapmid/attacks/two.py", "pass", "x = 1", {"attacks/two"}),
        ("trapmid/deep.py", "LIMIT = 3", "LIMIT = 3\nprint(LIMIT)", {"attacks/one"}),
        ("stages/go.py", "    main()\n", "    print(main())\n", {"stages/go"}),
    ],
)
def test_an_edit_changes_what_reaches_it(
    project: Path, file: str, old: str, new: str, changed: set[str]
) -> None:
    before = listings(project)
    text = (project / file).read_text(encoding="utf-8")
    assert old in text
    (project / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    after = listings(project)
    assert {unit for unit in before if before[unit] != after[unit]} == changed


def test_a_module_that_is_handed_on_counts_whole(project: Path) -> None:
    (project / "trapmid/attacks/two.py").write_text(
        "from trapmid import tools\n\n\nclass Attack:\n    where = dict(tools=tools)\n"
    )
    reached = names(listings(project)["attacks/two"])
    assert {"trapmid.tools:unused", "trapmid.tools:helper", "trapmid.deep:LIMIT"} <= reached


def test_files_beside_a_reached_module_count(project: Path) -> None:
    before = listings(project)
    (project / "trapmid/attacks/words.txt").write_text("hello", encoding="utf-8")
    after = listings(project)
    changed = {unit for unit in before if before[unit] != after[unit]}
    assert changed == {"attacks/one", "attacks/two"}
    assert "attacks/words.txt" in names(after["attacks/two"])


def test_code_for_type_checkers_alone_is_left_out(project: Path) -> None:
    before = listings(project)
    text = FILES["trapmid/tools.py"].replace(
        "import os\n",
        "import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    X = 1\n",
    )
    (project / "trapmid/tools.py").write_text(text, encoding="utf-8")
    assert listings(project) == before


def test_every_method_has_a_digest() -> None:
    units = Sources(ROOT / "src" / "trapmid", ROOT / "stages").units()
    for kind in ("attacks", "defenses", "priors", "surrogates", "targets"):
        assert {f"{kind}/{name}" for name in wiring.names(kind)} <= set(units)
    scripts = {path.stem for path in (ROOT / "stages").glob("[!_]*.py")}
    assert {f"stages/{script}" for script in scripts} <= set(units)


def test_a_network_knows_its_layers_and_no_other_network() -> None:
    """What a checkpoint's digest rests on."""
    found = Sources(ROOT / "src" / "trapmid")
    reached = found.reach(Definition("trapmid.targets.ir152", "Network"))
    modules = {module for module, _ in reached}
    assert any(module.startswith("trapmid.nets.") for module in modules)
    others = {module for module in modules if module.startswith("trapmid.targets.")}
    assert others == {"trapmid.targets.ir152"}
    kinds = wiring.target("small_vgg"), wiring.target("small_resnet")
    digests = {sources.digest_of_classes([kind]) for kind in kinds}
    assert len(digests) == 2
    assert sources.digest_of_classes([Path]) == sources.digest_of_classes([])


def test_a_digest_is_the_same_in_every_python() -> None:
    """Versions of Python add fields to their trees; empty ones are left out."""
    plain, annotated = ast.parse("def f(x): return x"), ast.parse("def f(x: int) -> int: return x")
    for tree in (plain, annotated):
        function = tree.body[0]
        function.type_params = []  # type: ignore[attr-defined]  # what 3.12 adds
        assert sources._canonical(function) == (
            "FunctionDef(name='f',args=arguments(args=[arg(arg='x')]),"
            "body=[Return(value=Name(id='x'))])"
        )
