"""The text of params.yaml: rows, comments, and an edited file that is not overwritten."""

from __future__ import annotations

import re

import pytest
from texts import plain

import shipped
from trapmid.profiles.compose import compose
from trapmid.profiles.sections import ProfileError
from trapmid.profiles.text import check_replaceable


def test_a_row_is_a_line_and_a_section_has_a_comment(folder):
    text = compose("small", [0, 1], folder)
    for row in ("gmi-none-0", "student-none-1", "evaluator", "trapmid-0"):
        assert len(re.findall(rf"^  {row}: \{{.*\}}$", text, re.MULTILINE)) >= 1, row
    assert "\n# Data sets\ndata:\n" in text and "\n# Trap-MID\ntrapdoor:\n  alpha: 0.1\n" in text
    assert "lr: 1e-3\n" in text and "milestones: [10, 20]\n" in text
    for remark in (
        "A header",
        "how many",
        "the defence",
        "tuned",
        "student\n",
        "the end",
        "of rows",
    ):
        assert f"# {remark}" not in text, remark
    assert text.startswith("# Profile `small`: written by `trapmid profile small --seeds 0 1`")
    assert text.endswith("\n")


@pytest.mark.parametrize("name", shipped.LARGE_ARE_SLOW)
def test_dvc_writes_the_same_values_and_comments(name):
    """`dvc exp run -S` breaks lines of more than 80 columns, rows, and leaves the others."""
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    text = shipped.text(name)
    again = dumps_yaml(parse_yaml_for_update(text, "params.yaml"))
    assert plain(again) == plain(text)
    assert re.findall("#.*", again) == re.findall("#.*", text)
    lines = again.splitlines()
    assert not [line for line in text.splitlines() if len(line) <= 80 and line not in lines]
    assert "&" not in text and " *" not in text  # aliases


@pytest.mark.slow
def test_an_experiment_keeps_every_comment(tmp_path):
    from dvc.utils.hydra import apply_overrides

    path, text = tmp_path / "params.yaml", shipped.text("attacks")
    path.write_text(text, encoding="utf-8")
    changes = ["trapdoor.beta=0.125", "attack_runs.plus-trapmid-0.set.adaptive.auxiliary_weight=50"]
    apply_overrides(str(path), changes)
    again, wanted = path.read_text(encoding="utf-8"), plain(text)
    wanted["trapdoor"]["beta"] = 0.125
    wanted["attack_runs"]["plus-trapmid-0"]["set"]["adaptive"]["auxiliary_weight"] = 50
    assert plain(again) == wanted
    assert re.findall("#.*", again) == re.findall("#.*", text)


def test_an_edited_file_is_not_replaceable(folder, tmp_path):
    path = tmp_path / "params.yaml"
    check_replaceable(path)  # no file yet
    text = compose("small", [0, 1], folder)
    path.write_text(text, encoding="utf-8")
    check_replaceable(path)
    path.write_text(text.replace("beta: 0.3", "beta: 0.1"), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"params\.yaml: edited since .* --force"):
        check_replaceable(path)
    path.write_text(text, encoding="utf-8")
    check_replaceable(path)  # the edit was taken back


@pytest.mark.parametrize(
    "text", ["profile: small\n", "", "a: [\n", "a: 2026-11-28\n", "# As written:\na: 1\n"]
)
def test_a_file_of_unknown_origin_is_not_replaceable(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError, match=r"params\.yaml: edited since"):
        check_replaceable(tmp_path / "params.yaml")


def test_a_profile_may_change_under_a_file_that_nobody_edited(folder, tmp_path):
    """One edits a profile, then writes params.yaml anew: nothing is lost by that."""
    path = tmp_path / "params.yaml"
    path.write_text(compose("small", folder=folder), encoding="utf-8")
    profile = folder / "small.yaml"
    profile.write_text(profile.read_text().replace("beta: 0.3", "beta: 0.1"), encoding="utf-8")
    check_replaceable(path)
    profile.unlink()
    check_replaceable(path)


def test_dvc_rewrites_the_file_and_its_origin_stays(folder, tmp_path):
    """`dvc exp run -S` writes it in a layout of its own: an edit by -S is one, a layout is none."""
    from dvc.utils.serialize import modify_yaml

    path = tmp_path / "params.yaml"
    text = compose("small", folder=folder)
    path.write_text(text.replace("milestones: [10, 20]", "milestones:\n    - 10\n    - 20"))
    assert path.read_text(encoding="utf-8") != text
    with modify_yaml(path) as values:
        values["trapdoor"]["beta"] = 0.1
    with pytest.raises(ProfileError, match="edited"):
        check_replaceable(path)
    with modify_yaml(path) as values:
        values["trapdoor"]["beta"] = 0.3
    check_replaceable(path)
