"""Somebody else's params.yaml: no name in it is code, whether it is checked before or not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from checkout import ROOT, Checkout
from ruamel.yaml import YAML

HOSTILE = [
    "a;touch marker",
    "$(touch marker)",
    "`touch marker`",
    "a|touch marker",
    "';touch marker;'",
    '";touch marker;"',
]


def test_no_command_of_the_graph_holds_a_value() -> None:
    """A row is named by a variable in quotes, which a shell fills in and does not read as code."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, stage in stages.items():
        body = stage.get("do", stage)
        assert "${" not in body["cmd"], name
        assert body["cmd"].startswith("exec python stages/"), name
        assert body["cmd"].endswith(' "$DVC_STAGE"') == ("foreach" in stage), name


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which `code` has run, and then somebody else's params.yaml came."""
    made = Checkout.make(tmp_path_factory.mktemp("attacked") / "copy")
    made.digest_code()
    params = YAML(typ="safe").load((made.root / "params.yaml").read_text(encoding="utf-8"))
    params["raw"] = dict.fromkeys(HOSTILE, params["raw"]["toy"])
    (made.root / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    return made


@pytest.fixture
def copy(attacked: Checkout, tmp_path: Path) -> Checkout:
    return attacked.copy(tmp_path / "copy")


@pytest.mark.slow
def test_plain_dvc_runs_no_name(copy: Checkout) -> None:
    """It starts the stage of every row, which refuses its name."""
    process = copy.start(sys.executable, "-m", "dvc", "repro", "--keep-going", "make_raw")
    printed, _ = process.communicate()
    assert process.returncode != 0
    for name in HOSTILE:
        assert f"make_raw: error: row: the name {name!r} must be of" in printed
    assert list(copy.root.rglob("marker")) == []
    assert not (copy.root / "data" / "raw").exists()


@pytest.mark.slow
def test_the_first_stage_refuses_it(copy: Checkout) -> None:
    code, printed = copy.stage("digest_code")
    assert code == 1
    assert printed.startswith("digest_code: error: raw: the name 'a;touch marker' must be of")
    assert len(printed.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_make_repro_checks_before(copy: Checkout, jobs: str) -> None:
    installed = copy.root / ".venv" / ".installed"
    installed.parent.mkdir()
    (copy.root / "pyproject.toml").touch()
    installed.touch()
    process = copy.start("make", "repro", f"JOBS={jobs}")
    printed, _ = process.communicate()
    assert process.returncode != 0
    assert "trapmid check: error: raw: the name 'a;touch marker' must be of" in printed
    assert "at a time" not in printed and "begin" not in printed  # as `trapmid run` says it
    assert list(copy.root.rglob("marker")) == []
