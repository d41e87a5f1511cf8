"""What stages really open, against what dvc.yaml says; and a second study, against the first.

The stages of the second study ran one by one, without DVC, in another folder.
"""

from __future__ import annotations

import ast
import builtins
import functools
import json
import threading
from pathlib import Path
from types import ModuleType

import pytest
from graph import FROM_CHECKPOINTS

import audit
from trapmid.artifacts.sources import Sources
from trapmid.config import params

pytestmark = pytest.mark.slow

FUNCTIONS = """\
import functools

@functools.cache
def decorated(): pass

def documented():
    "Its docstring."
    return [one for one
            in "ab"]

def generator():
    yield

def around():
    def inside(): return 1
    return (
        inside()
    )

nameless = lambda: (
    {one: 1 for one in ()}
)

def while_importing(): pass
while_importing()
"""


def test_every_kind_of_function_is_seen_when_it_is_called(tmp_path, monkeypatch):
    file = tmp_path / "functions.py"
    file.write_text(FUNCTIONS, encoding="utf-8")
    called = audit.Called()
    monkeypatch.setattr(builtins, audit.PROBE, called, raising=False)
    made = ModuleType("functions")
    exec(audit.compiled(file), vars(made))
    assert called.places == set()
    assert made.documented.__doc__ == "Its docstring."
    expected = {
        made.decorated: {3},
        made.documented: {6, 8},
        lambda: list(made.generator()): {11},
        made.around: {14, 15},
        made.nameless: {20, 21},
    }
    for call, lines in expected.items():
        # In a thread of its own: a process of pytest-xdist runs tests below a module of its own.
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        assert called.places == {(str(file), line) for line in lines}
        called.places.clear()


def test_a_stage_opens_only_its_dependencies(audited):
    undeclared = [
        f"{name}: {file}"
        for name, stage in audited.stages.items()
        for file in sorted(audited.watched[name].opened)
        if file != "params.yaml"  # DVC knows it by the parameters
        # Code is known by its digests: the next test. A stage reads them to compare them.
        and not file.startswith(("src/", "stages/", "digests/"))
        and not stage.covers(file)
        and not stage.makes(file)
    ]
    assert not undeclared, "opened, but no dependency:\n" + "\n".join(undeclared)


def test_a_stage_asks_for_its_parameters_and_no_others(audited):
    """One that it did not declare would leave its result as it is when somebody changes it."""
    wrong = []
    for name, stage in audited.stages.items():
        asked, declared = audited.watched[name].asked, set(stage.params)
        if "" in asked:  # all of the file, which is a dependency like any other
            assert "params.yaml" in stage.deps and not declared, name
        else:
            wrong += [f"{name}: {where}" for where in sorted(asked ^ declared)]
    assert not wrong, "asked for and not declared, or the reverse:\n" + "\n".join(wrong)


def test_a_stage_calls_only_code_of_its_digests(audited):
    """Every function that ran is in the digest of its script, its methods, or a network."""
    root = audited.study.root
    found = Sources(root / "src" / "trapmid", root / "stages")
    modules = {file: name for name, file in found.files.items()}
    undeclared = []
    for name, stage in audited.stages.items():
        if stage.kind == "code":
            continue
        listed = {
            line.split()[0]
            for unit in stage.units | rebuilt(stage, found)
            for line in audited.study.read(f"digests/{unit}").decode().splitlines()
        }
        undeclared += [
            f"{name}: {module}:{definition}"
            for file, line in audited.watched[name].called
            for module, definition in [(modules[root / file], defined(root / file, line))]
            if f"{module}:{definition}" not in listed and not stage.from_a_checkpoint(module)
        ]
        assert audited.watched[name].called
    assert not undeclared, "called, but in no digest:\n" + "\n".join(sorted(undeclared))


def rebuilt(stage, found: Sources) -> set[str]:
    """The methods that a stage rebuilds from checkpoints: bounds of their parameters run again."""
    folders = FROM_CHECKPOINTS.get(stage.kind, ())
    return {unit for unit in found.units() if unit.split("/")[0] in folders}


@functools.cache
def statements(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_text(encoding="utf-8")).body


def defined(file: Path, line: int) -> str:
    """The top-level definition that a line of a file belongs to."""
    for node in statements(file):
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        if first <= line <= node.end_lineno:
            # A function without a name belongs to the constant that holds it.
            targets = [getattr(node, "target", None), *getattr(node, "targets", [])]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            return getattr(node, "name", names[0] if names else "")
    raise AssertionError(f"{file}:{line}")


def test_no_dependency_on_data_is_idle(audited):
    """Reports of the data contract are the exception: training waits for them, and reads none.

    Code is not looked at: some rows of a stage need a file that others do not.
    """
    idle = [
        f"{name}: {dep}"
        for name, stage in audited.stages.items()
        for dep in stage.deps
        if not dep.startswith(("src/", "digests/"))
        and not any(f == dep or f.startswith(f"{dep}/") for f in audited.watched[name].opened)
        and not (stage.kind.startswith("train_") and dep.startswith("reports/data/"))
        and dep != "weights/none"  # Inception's weights: the evaluator's own features need none
    ]
    assert not idle, "a dependency, but never opened:\n" + "\n".join(idle)


ATTACKER = (
    "train_public_prior",
    "train_surrogate",
    "estimate_signatures",
    "train_guided_prior",
    "invert",
)


def test_a_search_opens_no_data(audited):
    attacks = [name for name, stage in audited.stages.items() if stage.kind == "invert"]
    assert len(attacks) == len(params.read(audited.study.root / "params.yaml")["attack_runs"])
    for name in attacks:
        assert not [
            file for file in audited.watched[name].opened if file.startswith(("data/", "reports/"))
        ]


def test_an_attacker_opens_no_private_file(audited):
    """Of all data it has the public images; `leak_signatures` alone is a defender's mistake."""
    seen = {stage.kind for stage in audited.stages.values()}
    assert set(ATTACKER) <= seen and "leak_signatures" in seen
    for name, stage in audited.stages.items():
        if stage.kind in ATTACKER:
            data = [file for file in audited.watched[name].opened if file.startswith("data/")]
            assert all(file.endswith("/public.pt") for file in data), (name, data)


def test_another_folder_gives_the_same_results(studied, audited):
    assert audited.study.scores() == studied.scores()
    for pattern in ("models/**/*.pt", "data/**/*.pt", "reports/training/**/*.csv"):
        files = {path.relative_to(studied.root) for path in studied.root.glob(pattern)}
        assert files
        for file in files:
            assert audited.study.read(str(file)) == studied.read(str(file)), file


def scores(study, section: str, row: str) -> dict:
    (found,) = json.loads(study.read(f"reports/scores/{section}/{row}.json"))
    return found


def test_a_stand_in_and_the_judges_are_scored(audited):
    """A stolen copy that was asked carries the trapdoor that the target, and no copy, has."""
    found = scores(audited.study, "attack_runs", "finetuned-trapmid-0")
    assert found["judges"] and found["judges"]["verifier"] is not None
    assert found["stand_in"] and found["stand_in"]["trapdoor_success"] is not None


def test_a_control_is_no_defence_that_could_be_idle(audited):
    """`none_aug` is the method `none` under another name."""
    assert "defense_is_active" not in scores(audited.study, "targets", "none_aug-0")["checks"]
    assert scores(audited.study, "targets", "trapmid-0")["checks"]["defense_is_active"]


def test_stages_leave_nothing_behind(audited):
    assert audited.study.half_written() == []
    assert not list((audited.study.root / ".scratch").rglob("*.pt"))
