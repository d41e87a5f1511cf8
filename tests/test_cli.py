"""The command line: exit codes, files written, and a start that imports no torch."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import fake_study
from trapmid import cli
from trapmid.profiles import preflight
from trapmid.report import summary

PROFILES = Path(__file__).parents[1] / "profiles"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A checkout with a computed study and its baseline."""
    study = fake_study.write(tmp_path)
    scores = fake_study.read_scores(tmp_path, study)
    fake_study.write_json(
        tmp_path / "reports" / "metrics.json", summary.summarise(study, *scores, {})
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rewrite(place, change):
    """Alters the scores in place, and what params.yaml says of the study that they are of."""
    path = place / "reports/metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    change(metrics)
    fake_study.write_json(path, metrics)
    choose(place, **metrics["study"])


def choose(place, **study):
    """Alters params.yaml alone, as `trapmid profile` does."""
    yaml, path = YAML(), place / "params.yaml"
    yaml.dump(yaml.load(path) | study, path)


def test_the_gate_passes_and_fails(place, capsys):
    assert cli.main(["gate", "--update"]) == 0
    assert cli.main(["gate"]) == 0
    metrics = json.loads((place / "reports/metrics.json").read_text(encoding="utf-8"))
    metrics["attacks"]["plgmi"]["trapmid"]["aa1"] = 0.9
    fake_study.write_json(place / "doctored.json", metrics)
    capsys.readouterr()
    assert cli.main(["gate", "--scores", "doctored.json"]) == 1
    assert "FAIL  rose by 0.77" in capsys.readouterr().out


def test_scores_of_another_machine_are_said_and_judged_as_any(place, capsys):
    assert cli.main(["gate", "--update"]) == 0
    assert "note: " not in capsys.readouterr().out
    rewrite(place, lambda metrics: metrics["computed_on"][0].update(instructions="AVX512"))
    assert cli.main(["gate"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "note: scored on cpu AVX512, oneDNN AVX2, torch 2.14.1; "
        "the baseline on cpu AVX2, oneDNN AVX2, torch 2.14.1: last bits differ"
    )
    rewrite(
        place, lambda metrics: metrics["computed_on"][0].update(instructions="AVX2", threads="1")
    )
    assert cli.main(["gate"]) == 0
    assert "note: " not in capsys.readouterr().out  # the baseline is older: it says no threads
    (place / "reports/baseline.json").unlink()
    assert cli.main(["gate", "--update"]) == 0
    rewrite(place, lambda metrics: metrics["computed_on"][0].update(threads="2"))
    capsys.readouterr()
    assert cli.main(["gate"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "note: scored on cpu AVX2, oneDNN AVX2, torch 2.14.1, threads 2; "
        "the baseline on cpu AVX2, oneDNN AVX2, torch 2.14.1, threads 1: last bits differ"
    )
    rewrite(place, lambda metrics: metrics.pop("computed_on"))  # as of an older version
    assert cli.main(["gate"]) == 0
    assert "note: " not in capsys.readouterr().out


def test_update_copies_the_scores(place):
    assert cli.main(["gate", "--update"]) == 0
    read = (place / "reports" / "baseline.json").read_bytes()
    assert read == (place / "reports" / "metrics.json").read_bytes()


def test_a_failed_check_makes_no_baseline(place, capsys):
    metrics = json.loads((place / "reports/metrics.json").read_text(encoding="utf-8"))
    metrics["checks"]["deterministic"] = False
    fake_study.write_json(place / "reports" / "metrics.json", metrics)
    assert cli.main(["gate", "--update"]) == 2
    assert not (place / "reports" / "baseline.json").exists()
    error = capsys.readouterr().err
    assert "deterministic failed, so the study is invalid: no baseline is made of it" in error


def test_a_weak_check_makes_a_baseline_that_says_so(place, capsys):
    rewrite(place, lambda metrics: metrics["checks"].update(trapdoor_success=False))
    assert cli.main(["gate", "--update"]) == 0
    assert "weak: trapdoor_success failed" in capsys.readouterr().out
    assert cli.main(["gate"]) == 0
    assert "weak check failed, as in the baseline" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("profile", "file"),
    [
        ("digits", "baseline-digits.json"),
        ("fake --table 7", "baseline-fake-table-7.json"),  # a part is another study than the whole
    ],
)
def test_scores_of_another_profile_are_one_line_and_get_a_baseline_of_their_own(
    place, capsys, profile, file
):
    assert cli.main(["gate", "--update"]) == 0
    before = (place / "reports/baseline.json").read_bytes()
    rewrite(place, lambda metrics: metrics["study"].update(profile=profile))
    capsys.readouterr()
    assert cli.main(["gate"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "trapmid gate: error: reports/baseline.json is of profile fake, the scores are of "
        f"{profile}: `trapmid gate --update` makes reports/{file} of them\n"
    )
    assert cli.main(["gate", "--update"]) == 0
    assert (place / "reports/baseline.json").read_bytes() == before
    assert cli.main(["gate"]) == 0


def test_scores_of_other_seeds_are_one_line_and_update_replaces_the_baseline(place, capsys):
    assert cli.main(["gate", "--update"]) == 0
    rewrite(place, lambda metrics: metrics["study"].update(seeds=[7]))
    capsys.readouterr()
    assert cli.main(["gate"]) == 2
    assert capsys.readouterr() == (
        "",
        "trapmid gate: error: reports/baseline.json is of seeds 0, 1, the scores are of seed 7: "
        "`trapmid gate --update` makes reports/baseline.json of them\n",
    )
    assert cli.main(["gate", "--update"]) == 0
    assert cli.main(["gate"]) == 0
    assert [path.name for path in (place / "reports").glob("baseline*")] == ["baseline.json"]


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ({"profile": "digits"}, "profile digits, seeds 0 1"),
        ({"seeds": [2, 0, 1]}, "profile fake, seeds 0 1 2"),
    ],
)
def test_scores_of_the_study_before_are_refused(place, capsys, study, said):
    """They would pass, by the tolerances of another profile, before anything has run."""
    assert cli.main(["gate", "--update"]) == 0
    choose(place, **study)
    capsys.readouterr()
    for words in ([], ["--update"]):
        assert cli.main(["gate", *words]) == 2
        assert capsys.readouterr() == (
            "",
            "trapmid gate: error: reports/metrics.json is of profile fake, seeds 0 1; "
            f"params.yaml is {said}: run the study first\n",
        )
    assert cli.main(["gate", "--scores", "reports/metrics.json"]) == 0


def test_scores_of_parameters_that_changed_get_a_note(place, capsys):
    """A study that failed halfway leaves the scores of the one before it."""
    assert cli.main(["gate", "--update"]) == 0
    params = place / "params.yaml"
    digest = hashlib.md5(params.read_bytes(), usedforsecurity=False).hexdigest()
    (place / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  report:\n    cmd: make\n    deps:\n"
        f"    - path: params.yaml\n      md5: {digest}\n",
        encoding="utf-8",
    )
    capsys.readouterr()
    assert cli.main(["gate"]) == 0
    assert "note: params.yaml" not in capsys.readouterr().out
    params.write_text(params.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert cli.main(["gate"]) == 0
    said = "note: params.yaml has changed since reports/metrics.json was made; `trapmid run` makes"
    assert said in capsys.readouterr().out


def test_a_resource_of_no_worker_is_one_line(place, capsys, monkeypatch):
    monkeypatch.setattr(preflight, "problems", lambda text: [])
    assert cli.main(["run", "--resource", "GPU=1"]) == 2
    said = "--resource: is of a worker, so it goes with --scheduler or --slurm"
    assert capsys.readouterr().err == f"trapmid run: error: {said}\n"


def test_a_list_of_one_object_is_read_as_the_object(place):
    path = place / "reports/metrics.json"
    path.write_text(f"[{path.read_text(encoding='utf-8')}]", encoding="utf-8")
    assert cli.main(["gate", "--update"]) == 0
    assert cli.main(["gate"]) == 0


def test_version_and_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"trapmid \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert cli.main([]) == 2
    assert capsys.readouterr().err.startswith("usage: trapmid ")


@pytest.mark.parametrize("missing", ["reports/metrics.json", "reports/baseline.json"])
def test_a_missing_file_is_one_line(place, capsys, missing):
    cli.main(["gate", "--update"])
    (place / missing).unlink()
    capsys.readouterr()
    assert cli.main(["gate"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"trapmid gate: error: {missing}: no such file")
    assert error.count("\n") == 1


def test_profile_writes_params(tmp_path, monkeypatch, capsys):
    (tmp_path / "profiles").mkdir()
    shutil.copy2(PROFILES / "small.yaml", tmp_path / "profiles")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["profile", "small"]) == 0
    assert cli.main(["profile", "small", "--seeds", "0", "1"]) == 0
    params = tmp_path / "params.yaml"
    assert "none-1:" in params.read_text(encoding="utf-8")
    params.write_text(
        params.read_text(encoding="utf-8").replace("beta: 0.5", "beta: 0.9"), encoding="utf-8"
    )
    assert cli.main(["profile", "small"]) == 2
    assert "beta: 0.9" in params.read_text(encoding="utf-8")
    assert cli.main(["profile", "small", "--force"]) == 0
    assert "beta: 0.9" not in params.read_text(encoding="utf-8")
    assert cli.main(["profile", "large"]) == 2
    assert "no profile 'large'" in capsys.readouterr().err


def test_parameters_of_another_encoding_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes("seeds: [0] # f\u00fcr alle\n".encode("latin-1"))
    assert cli.main(["check"]) == 2
    error = capsys.readouterr().err
    assert "params.yaml: is no UTF-8 text (" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        *(
            ([name], "params.yaml: no such file; run this")
            for name in ("check", "clean", "gate", "run")
        ),
        (["profile", "small"], "profiles: no such folder; run this"),
    ],
)
def test_a_folder_that_is_no_checkout_is_one_line(tmp_path, monkeypatch, capsys, words, missing):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"trapmid {words[0]}: error: {missing}")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_opened_is_named_first(place, capsys):
    assert cli.main(["gate", "--scores", "reports"]) == 2
    assert capsys.readouterr().err == "trapmid gate: error: reports: is a directory\n"


def test_help_and_gate_import_no_torch(place):
    cli.main(["gate", "--update"])
    for words in (["--help"], ["gate"]):
        code = (
            "import sys; from trapmid import cli\n"
            f"try:\n    cli.main({words!r})\nexcept SystemExit:\n    pass\n"
            "print({'torch', 'mlflow', 'matplotlib'} & set(sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "set()"
