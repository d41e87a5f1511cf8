"""What a person who calls a stage by hand is told."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import fake_study
from trapmid.runtime import Runtime, onednn_level
from trapmid.scoring.scores import TargetScores

STAGES = Path(__file__).parents[1] / "stages"
NAMES = sorted(path.stem for path in STAGES.glob("[!_]*.py"))


@pytest.fixture
def stage(monkeypatch):
    """Imports a stage as `python stages/NAME.py` does, and sets the command line."""
    monkeypatch.syspath_prepend(str(STAGES))

    def call(name, *words):
        monkeypatch.setattr(sys, "argv", [f"stages/{name}.py", *words])
        run = __import__("_stage").run
        run(__import__(name).main)

    return call


@pytest.mark.parametrize("name", NAMES)
def test_help_prints_the_usage(stage, capsys, name):
    stage(name, "--help")
    shown = capsys.readouterr().out
    module = sys.modules[name]
    words = [word.upper() for word in inspect.signature(module.main).parameters]
    assert shown.splitlines()[0].split() == ["usage:", "python", f"stages/{name}.py", *words]
    assert inspect.getdoc(module).splitlines()[0] in shown


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_number_of_words_is_exit_code_2(stage, capsys, name):
    with pytest.raises(SystemExit) as ended:
        stage(name, *"abc")
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"usage: python stages/{name}.py")


@pytest.mark.parametrize("row", ["-h", "--help", "other@x", "a;b", "../x", "a:b@c", ""])
def test_what_is_no_name_of_a_row_is_refused(stage, row):
    """As DVC hands it over; nothing of a name is taken for another row's or for an option."""
    with pytest.raises(SystemExit, match=r"^make_raw: error: row: the name .* must be of A-Z"):
        stage("make_raw", f"make_raw@{row}")


@pytest.mark.parametrize("word", ["toy", "make_raw@toy", "../dvc.yaml:make_raw@toy"])
def test_a_row_may_be_named_as_dvc_names_it(stage, tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("raw: {}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^make_raw: error: raw: no 'toy'; has none"):
        stage("make_raw", word)


def test_scores_say_on_what_they_were_computed(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(STAGES))
    monkeypatch.setattr(sys, "argv", ["stages/evaluate_target.py"])
    monkeypatch.chdir(tmp_path)
    study = fake_study.params(seeds=(0,))
    scores = fake_study.scores(study)[1]["none-0"]
    rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
    __import__("_scores").write_scores(scores, rt)
    found = TargetScores.read(tmp_path, "none-0").computed_on
    assert (found.device, found.precision, found.torch) == ("cpu", "fp32", torch.__version__)
    assert found.instructions == torch.backends.cpu.get_cpu_capability()
    assert found.onednn == onednn_level()
    assert (found.threads, found.gpu) == (str(torch.get_num_threads()), "")
    assert TargetScores.read(tmp_path, "none-0").test_accuracy == scores.test_accuracy


@pytest.mark.parametrize(
    ("owner", "name", "other"),
    [
        (torch, "get_num_threads", lambda: 64),
        (torch, "__version__", "0.0.0"),
        (torch.backends.cpu, "get_cpu_capability", lambda: "NONE"),
    ],
)
def test_unfinished_work_goes_on_where_it_would_compute_alike(
    monkeypatch, tmp_path, owner, name, other
):
    monkeypatch.syspath_prepend(str(STAGES))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    stages = __import__("_stage")
    monkeypatch.setattr(stages, "_watch", SimpleNamespace(code=lambda: "a digest"))
    rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")

    def left_by() -> set[Path]:
        """The folders of work after a training that was cut off."""
        with pytest.raises(KeyboardInterrupt), stages.resumable("a training", {}, [], rt):
            raise KeyboardInterrupt
        return {path for path in (tmp_path / ".scratch").iterdir() if path.is_dir()}

    first = left_by()
    assert len(first) == 1 and left_by() == first
    monkeypatch.setattr(owner, name, other)
    assert len(left_by()) == 2


def test_a_prior_of_an_unknown_kind_is_exit_code_2(stage, capsys):
    with pytest.raises(SystemExit) as ended:
        stage("train_prior", "priors", "gmi")
    assert ended.value.code == 2
    line = "usage: stages/train_prior.py public_priors|guided_priors NAME\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(("word", "code"), [("none-0", 2), ("--force", 2), ("--help", 0)])
def test_digests_stay_where_a_word_is_given(tmp_path, word, code):
    """The stage `code` takes none, and begins with an empty folder."""
    (tmp_path / "digests").mkdir()
    (tmp_path / "digests" / "index").write_text("kept")
    done = subprocess.run(
        [sys.executable, str(STAGES / "digest_code.py"), word],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == code
    shown = done.stdout if code == 0 else done.stderr
    assert shown.splitlines()[0] == "usage: python stages/digest_code.py"
    assert (tmp_path / "digests" / "index").read_text() == "kept"


@pytest.mark.slow
def test_a_real_stage_without_words(tmp_path):
    done = subprocess.run(
        [sys.executable, str(STAGES / "invert.py")], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "usage: python stages/invert.py NAME"


def _one_image():
    torch.nn.BatchNorm1d(2)(torch.ones(1, 2))


def _no_gpu_memory():
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")


def _no_memory():
    torch.empty(2**60)


@pytest.mark.parametrize(
    ("work", "line"),
    [
        (_one_image, r"^stage: error: batch_size: 1: batch norm needs two images at least \(Expe"),
        (
            _no_gpu_memory,
            r"^stage: error: out of memory \(Tried to allocate 2.00 GiB\); a smaller batch_size",
        ),
        (
            _no_memory,
            r"^stage: error: out of memory \(tried to allocate \d+ bytes\); a smaller batch_size",
        ),
    ],
)
def test_torch_s_errors_become_a_line_that_names_what_to_change(
    stage, tmp_path, monkeypatch, work, line
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stages/stage.py"])
    with pytest.raises(SystemExit, match=line) as ended:
        __import__("_stage").run(work)
    assert "\n" not in ended.value.code
