"""`trapmid doctor`: what is said of a healthy folder, and of every way in which one is not."""

from __future__ import annotations

import builtins
import json
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import shipped
from trapmid import cli
from trapmid.doctor import examination, machine, project, services
from trapmid.doctor.finding import Finding, looked
from trapmid.planning import measure, throughputs
from trapmid.planning.measure import Cost

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone in which nothing has run, and an environment that says nothing."""
    for name in ("MLFLOW_TRACKING_URI", "TRAPMID_DEVICE", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "params.yaml").write_text(shipped.text("small"))
    shutil.copy2(ROOT / "dvc.yaml", tmp_path)
    shutil.copytree(ROOT / "weights", tmp_path / "weights")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(home: Path, what: str) -> list[Finding]:
    return [finding for finding in examination.examine(home) if finding.what == what]


def edit(home: Path, old: str, new: str) -> None:
    text = (home / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    (home / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")


def test_a_clone_misses_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24  # a screen
    assert {line[:4] for line in lines} <= {"ok  ", "note"}
    subjects = [*("python", "torch", "device", "precision", "cores", "memory", "disk", "params")]
    subjects += ["data", "weights", "packages", "time", "dvc", "mlflow"]
    assert list(dict.fromkeys(line.split()[1] for line in lines)) == subjects
    assert "ok    data       faces: `dvc repro` makes data/raw/synthetic/celeba" in lines
    assert [line for line in lines if "small: 9 min 55 s with `make repro` on two slow" in line]


def no_params(home: Path) -> None:
    (home / "params.yaml").unlink()


def broken_params(home: Path) -> None:
    edit(home, "beta: ", "betta: ")


def no_data(home: Path) -> None:
    edit(home, "data/raw/synthetic/celeba}, image", "data/external/celeba}, image")


def data_on_a_remote(home: Path) -> None:
    no_data(home)
    (home / "data/external").mkdir(parents=True)
    (home / "data/external/celeba.dvc").touch()


def no_weights(home: Path) -> None:
    (home / "weights/faces32/gmi.pt").unlink()


def no_inception(home: Path) -> None:
    edit(home, "inception_weights: weights/none", "inception_weights: models/external/inception.pt")


def no_truth(home: Path) -> None:
    edit(home, "truth: data/raw/synthetic/celeba/id", "truth: data/external/id")


def damaged_weights(home: Path) -> None:
    file = home / "weights/faces32/plgmi.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty_lock(home: Path) -> None:
    (home / "dvc.lock").touch()


def no_clone(home: Path) -> None:
    (home / ".dvc").rmdir()


MISSING: list[tuple[Callable[[Path], None], str]] = [
    (no_params, "params     params.yaml: no such file; run this at the root; `trapmid profile"),
    (broken_params, "missing ['beta']"),
    (no_data, "data/external/celeba is not there; `trapmid data celeba --from PATH`"),
    (data_on_a_remote, "data/external/celeba is not there; `dvc pull data/external/celeba`"),
    (no_weights, "weights/faces32/gmi.pt: no such file (public_priors.gmi); put it there, or"),
    (no_inception, "inception.pt: no such file (evaluation.inception_weights); put it there, or"),
    (no_truth, "data/external/identity_vectors.csv: no such file (judges.identity); put it there"),
    (damaged_weights, "plgmi.pt: its digest is not that of SHA256SUMS; `git checkout weights/"),
    (empty_lock, "dvc.lock: is empty, as after a crash of DVC; `git checkout dvc.lock`"),
    (no_clone, "no .dvc and dvc.yaml here; run this at the root of a clone"),
]


@pytest.mark.parametrize(("spoil", "words"), MISSING, ids=lambda v: getattr(v, "__name__", ""))
def test_what_a_study_misses_is_a_line_and_exit_code_1(
    home: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], words: str
) -> None:
    spoil(home)
    assert cli.main(["doctor"]) == 1
    missed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("MISS")]
    assert missed and words in missed[0]


@pytest.fixture
def highres(home: Path) -> Path:
    """A study of the high-resolution track, without its weights."""
    (home / "params.yaml").write_text(shipped.text("paper_highres"))
    return home


def test_weights_that_others_publish_are_made_by_a_command(highres: Path) -> None:
    """A judge, and a prior that is not trained, from random weights would measure nothing."""
    found = {one.text.split(":")[0]: one for one in project.weights(highres) if one.is_fatal}
    assert found["weights/official/facenet.pt"].remedy == (
        "`trapmid import FILE --as facenet-vggface2 --out weights/official/facenet.pt` makes it "
        "(docs/reproduce.md)"
    )
    assert found["weights/official/ffhq1024.pt"].remedy == (
        "`trapmid convert-stylegan FILE --out weights/official/ffhq1024.pt` makes it "
        "(docs/attacks.md)"
    )
    assert len(found) == 2


def test_a_word_for_weights_of_timm_is_no_file_of_so_many_megabytes(highres: Path) -> None:
    texts = [one.text for one in project.weights(highres)]
    name = "resnest101e.in1k"
    wanted = f"weights/timm/{name}: timm's {name}, from the local cache of the Hugging Face hub"
    assert wanted in texts
    assert not any("0.0 MB" in text for text in texts)


def test_a_judge_is_not_to_begin_with_random_weights(home: Path) -> None:
    (home / "weights/faces32/verifier.pt").unlink()
    (found,) = [one for one in project.weights(home) if one.is_fatal]
    assert found.remedy == "put it there, or give judges.verifier another"
    (home / "weights/faces32/gmi.pt").unlink()
    first = next(one for one in project.weights(home) if one.is_fatal)
    assert first.remedy.endswith("give public_priors.gmi another; weights/random is a choice, too")


@pytest.mark.parametrize(("files", "said_of_it"), [
    (["net.py", "net.pt"], "ok    weights    models/external/mine: a folder with net.py"),
    (["net.pt"], "MISS  weights    models/external/mine: a folder of 0 Python files; one makes"),
])  # fmt: skip
def test_a_model_may_be_a_folder(home: Path, files: list[str], said_of_it: str) -> None:
    edit(home, "init: weights/random", "init: models/external/mine")
    (home / "models/external/mine").mkdir(parents=True)
    for name in files:
        (home / "models/external/mine" / name).touch()
    lines = [one.line() for one in project.weights(home)]
    assert [line for line in lines if line.startswith(said_of_it)], lines


def test_a_folder_that_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert cli.main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAPMID_DEVICE", "quantum")
    (found,) = said(home, "device")
    assert found.is_fatal and "'quantum' is not available here" in found.text


def test_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def broken(name: str, *rest: Any) -> Any:
        if name == "torchvision":
            raise ImportError("libcudart.so.13: cannot open shared object file")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", broken)
    (found,) = looked("torch", machine.torch)
    assert found.is_fatal and "libcudart.so.13" in found.text and "make install" in found.remedy


def test_another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    (found,) = machine.python()
    assert found.is_fatal and "tested are 3.11 to 3.13" in found.text


def test_what_fails_by_itself_is_a_note() -> None:
    def look() -> Iterator[Finding]:
        yield Finding("memory", "1 GiB")
        raise KeyError("Mem\nTotal")

    first, second = looked("memory", look)
    assert first.text == "1 GiB"
    assert second.line() == r"note  memory     could not be looked at (KeyError: 'Mem\nTotal')"


@pytest.mark.parametrize(
    ("bound", "state"), [("max", "fine"), (str(2**40), "fine"), (str(2**30), "note")]
)
def test_a_container_bounds_memory(monkeypatch: pytest.MonkeyPatch, bound: str, state: str) -> None:
    monkeypatch.setattr(
        machine, "_cgroup", lambda name: None if bound == "max" else {"memory.max": bound}.get(name)
    )
    (found,) = machine.memory()
    assert found.state == state or bound != str(2**30)
    assert ("1.0 GiB, " in found.text) == (bound == str(2**30))


def test_files_that_lie_in_memory_are_no_lack_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that has read a data set is full of it, and gives it up when asked."""
    known = {"memory.max": str(2**30), "memory.current": str(2**30 - 2**20)}
    monkeypatch.setattr(machine, "_cgroup", known.get)
    (found,) = machine.memory()
    assert found.text == "1.0 GiB, 0.0 GiB free"
    known["memory.stat"] = f"anon {2**29}\nfile {2**29}\ninactive_file {2**29}\n"
    (found,) = machine.memory()
    assert found.text == "1.0 GiB, 0.5 GiB free"


def test_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 4096)
    (found,) = machine.cores({"OMP_NUM_THREADS": "4096"})
    assert found.state == "note"
    assert "torch takes 4096 threads, OMP_NUM_THREADS=4096" in found.text
    assert found.remedy.startswith("set OMP_NUM_THREADS=")


@pytest.mark.parametrize(("quota", "most"), [("150000 100000", 2), ("10000 100000", 1)])
def test_a_container_bounds_cores(monkeypatch: pytest.MonkeyPatch, quota: str, most: int) -> None:
    monkeypatch.setattr(machine, "_cgroup", {"cpu.max": quota}.get)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    (found,) = machine.cores({})
    assert found.remedy == f"set OMP_NUM_THREADS={most}"
    assert "torch takes 3 threads, but may use" in found.text
    monkeypatch.setattr("torch.get_num_threads", lambda: most)
    (found,) = machine.cores({})
    assert found.state == "fine"


# --- MLflow ---------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server that is healthy."""

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()
            self.wfile.write(b"OK")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Healthy) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_server_that_answers_and_no_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hush@{server}")
    (found,) = looked("mlflow", lambda: services.mlflow(home))
    assert (found.state, found.text) == ("fine", f"http://{server} answers")


@pytest.mark.parametrize(
    "uri", ["http://me:hush@127.0.0.1:9", "http://me:hush@[", "postgresql://me:hush@db/runs"]
)
def test_no_answer_is_a_note_without_a_password(
    home: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (found,) = looked("mlflow", lambda: services.mlflow(home))
    assert not found.is_fatal and "hush" not in found.line()


def test_a_server_that_never_answers_is_not_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        (found,) = looked("mlflow", lambda: services.mlflow(home))
        assert time.monotonic() - begun < 10
    assert found.state == "note" and "no answer" in found.text


def test_a_damaged_store_is_a_note(home: Path) -> None:
    (home / "mlflow.db").write_text("no database " * 100)
    (found,) = looked("mlflow", lambda: services.mlflow(home))
    assert found.state == "note" and "move it away" in found.remedy


# --- DVC, packages, times -------------------------------------------------------------------------


def test_results_without_a_cache(home: Path) -> None:
    shutil.copy2(ROOT / "dvc.lock", home)
    (found,) = looked("dvc", lambda: services.dvc(home))
    assert found.state == "note" and "`dvc pull`" in found.remedy
    (home / "shared" / "files").mkdir(parents=True)
    (home / ".dvc" / "config.local").write_text("[cache]\n    dir = ../shared\n")
    (found,) = looked("dvc", lambda: services.dvc(home))
    assert found.state == "fine" and "its cache is there" in found.text


@pytest.mark.parametrize(
    ("old", "new", "extra"),
    [
        ("verifier: {method: verifier, model", "verifier: {method: dlib, model", "faces"),
        ("arch: small_resnet", "arch: dlib_head", "faces"),
        ("arch: small_resnet", "arch: inception_v3", "highres"),
        ("pretrained: {}", "pretrained: {start-0: {teacher: dlib}}", "faces"),
    ],
)
def test_what_a_row_needs_is_missing_where_it_is_not_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, extra: str
) -> None:
    monkeypatch.setattr(project, "find_spec", lambda _: None)
    fine = [*project.packages(home)]
    assert not any(finding.is_fatal for finding in fine)
    assert all("is not installed, nor needed here: " in finding.text for finding in fine)
    edit(home, old, new)
    found = [finding for finding in project.packages(home) if finding.is_fatal]
    assert len(found) == 1 and f"pip install --editable '.[{extra}]'" in found[0].remedy


def test_every_network_of_timm_is_known_to_need_it() -> None:
    files = (ROOT / "src/trapmid/targets").glob("*.py")
    users = {file.stem for file in files if "timm_network" in file.read_text(encoding="utf-8")}
    assert users == project._EXTRAS["highres"].needed_by


def test_what_the_last_run_took(home: Path) -> None:
    for row, seconds in (("none-0", 90), ("trapmid-0", 30)):
        file = home / "reports/training/targets" / row / "stats.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"seconds": seconds, "peak_memory_mb": 1024 + seconds}))
    _, last = project.times(home)
    assert last.text == (
        "the 2 trainings in reports/training took 2 min and 1.1 GiB of memory at most"
    )


def test_a_plan_that_was_made_here_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of several stages at a time before the other; a file of throughputs has both."""
    (home / "profiles").symlink_to(ROOT / "profiles")
    monkeypatch.setattr(measure, "cost", lambda *_: Cost(0.001, 1.0))
    monkeypatch.setattr(throughputs, "_imports", lambda **_: 2.0)
    monkeypatch.setattr(throughputs, "_drawing", lambda: 0.0057)
    assert cli.main(["plan", "small", "--beside"]) == 0
    (before,) = project.times(home)
    assert before.text.endswith(" min by `trapmid plan`, and 0.6 GiB of memory at most")
    assert cli.main(["plan", "small", "--jobs", "auto", "--beside"]) == 0
    (after,) = project.times(home)
    assert " min by `trapmid plan --jobs auto`, and " in after.text


@pytest.mark.parametrize("profile", project.TIMES)
def test_the_times_are_those_of_the_documents(profile: str) -> None:
    assert (ROOT / "profiles" / f"{profile}.yaml").is_file()
    text = (ROOT / "README.md").read_text() + (ROOT / "docs/machines.md").read_text()
    lines = [line for line in text.splitlines() if f"`{profile}`" in line or profile == "small"]
    written = {"20 min": "twenty minutes", "3 min": "three minutes"}
    first = project.TIMES[profile].split(" with ")[0].split(" beside ")[0].split(" on two")[0]
    assert any(written.get(first, first) in line for line in lines)
