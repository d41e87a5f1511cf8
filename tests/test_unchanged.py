"""A stage ends with the code and the parameters that it began with, or it fails."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import _unchanged
import digest_code
import trapmid
from _unchanged import ChangedError, Watch
from trapmid.config import params

TEXT = "classifier_training:\n  target: {lr: 0.05, epochs: 3}\n  other: {lr: 0.1}\nseeds: [0]\n"


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """In a project of one script and an empty package."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(TEXT, encoding="utf-8")
    Path("src/trapmid").mkdir(parents=True)
    Path("src/trapmid/__init__.py").touch()
    Path("stages").mkdir()
    Path("stages/go.py").write_text("def main():\n    return 1\n", encoding="utf-8")
    return Watch("go", (Path("src/trapmid"), Path("stages")))


def edit(file: str, old: str, new: str) -> None:
    text = Path(file).read_text(encoding="utf-8")
    assert old in text
    Path(file).write_text(text.replace(old, new), encoding="utf-8")


def test_a_parameter_that_was_used_must_stay(watch: Watch) -> None:
    study = watch.load_params()
    assert params.section(study, "classifier_training.target")["lr"] == 0.05
    edit("params.yaml", "0.05", "0.5")
    with pytest.raises(ChangedError, match=r"^classifier_training\.target: changed while this ran"):
        watch.check_params()


def test_other_parameters_may_change(watch: Watch) -> None:
    """Who trains for hours goes on editing what comes next."""
    params.section(watch.load_params(), "classifier_training.target")
    edit("params.yaml", "{lr: 0.1}", "{lr: 0.2}")
    edit("params.yaml", "seeds: [0]", "seeds: [0, 1]  # more")
    watch.check_params()


@pytest.mark.parametrize(("asked", "where"), [("", "params.yaml"), ("seeds", "seeds")])
def test_all_of_it_or_a_section_by_its_key(watch: Watch, asked: str, where: str) -> None:
    study = watch.load_params()
    study.asked.add(asked)
    edit("params.yaml", "seeds: [0]", "seeds: [1]")
    with pytest.raises(ChangedError, match=f"^{where}: changed"):
        watch.check_params()


def test_a_part_that_is_gone_has_changed(watch: Watch) -> None:
    params.section(watch.load_params(), "classifier_training.other")
    edit("params.yaml", "  other: {lr: 0.1}\n", "")
    with pytest.raises(ChangedError, match=r"^classifier_training\.other: changed"):
        watch.check_params()


def test_code_is_held_against_its_digest(watch: Watch) -> None:
    watch.check_code()  # nothing to compare yet
    digest_code.main()
    watch.check_code()
    before = watch.code()
    edit("stages/go.py", "return 1", "return 1  # a comment")
    watch.check_code()
    edit("stages/go.py", "return 1", "return 2")
    with pytest.raises(ChangedError, match=r"^go:main: changed since `dvc repro` began"):
        watch.check_code()
    digest_code.main()
    watch.check_code()
    assert watch.code() != before


def test_code_that_is_edited_while_it_is_read_is_read_again(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else results of new code would stand under the digests of the old."""
    listing, edits = digest_code.Sources.listing, [("return 1", "return 2")]

    def edited(sources: Any, *roots: Any) -> str:
        text: str = listing(sources, *roots)
        while edits:
            edit("stages/go.py", *edits.pop())
        return text

    monkeypatch.setattr(digest_code.Sources, "listing", edited)
    with pytest.raises(SystemExit, match=r"^digest_code: error: .* edited while .* run it again$"):
        digest_code.main()
    assert not _unchanged.DIGESTS.is_dir()
    digest_code.main()
    watch.check_code()


def test_code_has_a_name_without_digests_too(watch: Watch) -> None:
    """What an interrupted training is found by."""
    before = watch.code()
    digest_code.main()
    assert watch.code() == before
    assert _unchanged.DIGESTS.is_dir()


def test_code_of_another_checkout_is_refused(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable installation may lead there, and a worker has a package of its own."""
    for place, number in (("src", 1), ("elsewhere", 2)):
        Path(place, "trapmid").mkdir(parents=True, exist_ok=True)
        Path(place, "trapmid/__init__.py").touch()
        Path(place, "trapmid/tools.py").write_text(f"def f():\n    return {number}\n")
    Path("stages/go.py").write_text("from trapmid import tools\ndef main():\n    tools.f()\n")
    digest_code.main()
    monkeypatch.setitem(sys.modules, "trapmid.tools", ModuleType("trapmid.tools"))
    other = Watch("go", (Path("elsewhere/trapmid"), Path("stages")))
    with pytest.raises(ChangedError, match=r"^trapmid\.tools:f: what runs is /.*elsewhere/trapmid"):
        other.check_code()
    assert other.code() == watch.code()  # what `code` has written down, as long as it is there
    edit("elsewhere/trapmid/tools.py", "return 2", "return 1  # the same")
    other.check_code()
    watch.check_code()


def test_what_runs_is_what_is_imported() -> None:
    assert _unchanged.RUNNING[0] / "__init__.py" == Path(str(trapmid.__file__))
    assert (_unchanged.RUNNING[1] / "digest_code.py").samefile(str(digest_code.__file__))
