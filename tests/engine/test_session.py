"""`trapmid run` on a real DVC repository: books, lock and cache as `dvc repro` leaves them."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from engine_graph import quiet
from ruamel.yaml import YAML

from trapmid.engine import cluster
from trapmid.engine.session import Plan, environment, shares

pytestmark = pytest.mark.slow
# Who starts tests in the background of a shell hands them an ignored SIGINT.
RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path, PosixPath
from trapmid.engine import cluster, session
cluster._PATIENCE = {}
sys.exit(session.run(Path(), session.Plan({})))
"""


@contextmanager
def started(repository, patience: int = 10, **plan) -> Iterator[subprocess.Popen[str]]:
    """A driver in a process of its own: DVC changes the logging and the folder of a process."""
    words = ", ".join(f"{name}={value!r}" for name, value in plan.items())
    process = subprocess.Popen(
        [sys.executable, "-c", RUN.format(patience, words)],
        cwd=repository.root,
        env=quiet(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run(repository, code: int = 0, **words) -> str:
    with started(repository, **words) as process:
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == code, printed
    return printed


def files(folder: Path) -> dict[str, bytes]:
    """Everything in the cache."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def until(found, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def stages_of(repository):
    """What dvc.lock says of each stage."""
    return YAML(typ="safe").load(repository.lock)["stages"]


def test_lock_cache_and_files_are_those_of_dvc(make_repository, plain):
    ours = make_repository("ours")
    printed = run(ours, jobs=3)
    assert "9 run" in printed
    assert ours.lock == plain.lock
    assert files(ours.root / ".dvc/cache") == files(plain.root / ".dvc/cache")
    for name in ("report", "score-b.json", "shown"):
        assert (ours.root / name).read_bytes() == (plain.root / name).read_bytes()
    ignored = [sorted((one.root / ".gitignore").read_text().split()) for one in (ours, plain)]
    assert ignored[0] == ignored[1]
    assert ours.ran().keys() == plain.ran().keys()
    assert "up to date" in ours.dvc("status")
    assert "9 unchanged" in run(ours)
    assert ours.ran() == {}


def test_what_is_stale_runs_or_comes_back(make_repository):
    plain, ours = make_repository("plain"), make_repository("ours")
    for values in ({}, {"b": "5"}, {}):
        for one in (plain, ours):
            one.write(**values)
        plain.dvc("repro", "--quiet")
        printed = run(ours, jobs=2)
        assert ours.lock == plain.lock
        ran = ours.ran()
        assert ran.keys() == plain.ran().keys()
    assert "restored train@b" in printed  # as dvc does with the run cache
    assert ran == {}


def test_a_failing_row_stops_only_what_hangs_from_it(make_repository, plain):
    ours = make_repository("ours")
    ours.write(b="fail")
    printed = run(ours, code=1, jobs=2)
    assert "failed train@b: exit code 3;" in printed and "it fails here" in printed
    assert "3 not run" in printed  # score@b, report, show
    assert ours.ran().keys() == {"train@a", "train@b", "train@c", "score@a", "score@c"}
    ours.write()
    assert "4 run" in run(ours)
    assert stages_of(ours) == stages_of(plain)  # in another order


def test_a_stage_whose_output_cannot_be_kept_fails_alone(make_repository):
    ours = make_repository("ours")
    digest = hashlib.md5(b'{"said": "train b 2"}\n', usedforsecurity=False).hexdigest()
    place = ours.root / ".dvc/cache/files/md5" / digest[:2]
    place.parent.mkdir(parents=True)
    place.touch()  # where DVC wants a folder
    printed = run(ours, code=1, jobs=2)
    assert "failed train@b: [Errno" in printed and "3 not run" in printed
    assert ours.ran().keys() >= {"train@b", "score@a", "score@c"}
    place.unlink()
    assert "4 run" in run(ours)


def test_one_stage_and_what_it_needs(make_repository):
    ours = make_repository("ours")
    run(ours, targets=("score@b",))
    assert ours.ran().keys() == {"train@b", "score@b"}
    assert (ours.root / "digest").exists() and not (ours.root / "report").exists()


def test_what_a_user_brought_is_recorded_and_never_removed(make_repository):
    """`dvc add` makes a stage without a command (docs/sharing.md): whose files nothing makes."""
    plain, ours = make_repository("plain"), make_repository("ours")
    for one in (plain, ours):
        (one.root / "unread").touch()
        one.dvc("add", "--quiet", "source", "unread")
        for name in ("source", "unread"):
            (one.root / name).write_text("brought\n", encoding="utf-8")
    plain.dvc("repro", "--quiet")
    assert "recorded source.dvc" in run(ours)
    for name in ("source", "source.dvc", "unread", "unread.dvc", "dvc.lock"):
        assert (ours.root / name).read_bytes() == (plain.root / name).read_bytes(), name
    assert "10 unchanged" in run(ours)
    (ours.root / "source").unlink()
    assert "failed source.dvc: missing data 'source': source" in run(ours, code=1)


def test_another_dvc_yaml_has_a_lock_of_its_own(make_repository):
    plain, ours = make_repository("plain"), make_repository("ours")
    text = "stages:\n  more:\n    cmd: echo 3 > ../source\n    outs: [../source]\n"
    for one in (plain, ours):
        (one.root / "source").unlink()
        (one.root / "below").mkdir()
        (one.root / "below/dvc.yaml").write_text(text, encoding="utf-8")
    plain.dvc("repro", "--quiet")
    assert "10 run" in run(ours)
    for name in ("below/dvc.lock", "dvc.lock"):
        assert (ours.root / name).read_bytes() == (plain.root / name).read_bytes(), name
    assert "10 unchanged" in run(ours)


MORE = """
  kept:
    cmd: echo 1 > kept
    outs: [{kept: {cache: false}}]
  still:
    cmd: cat source > still
    deps: [source]
    outs: [still]
  folder:
    cmd: mkdir -p folder && for one in $(cat names); do echo 1 > folder/$one; done
    deps: [names]
    outs: [folder]
"""


def test_other_kinds_of_stages_are_kept_as_dvc_keeps_them(make_repository):
    """Outputs out of the cache, frozen stages, and folders, of which no old file stays."""
    plain, ours = make_repository("plain"), make_repository("ours")
    for one in (plain, ours):
        with (one.root / "dvc.yaml").open("a", encoding="utf-8") as stream:
            stream.write(MORE)
        (one.root / "names").write_text("a b\n", encoding="utf-8")
    for names, source, folder in (("a b", "1", {"a", "b"}), ("b", "2", {"b"})):
        for one in (plain, ours):
            (one.root / "names").write_text(f"{names}\n", encoding="utf-8")
            (one.root / "source").write_text(f"{source}\n", encoding="utf-8")
            if source == "2":
                one.dvc("freeze", "--quiet", "still")
        plain.dvc("repro", "--quiet")
        run(ours, jobs=1)
        assert ours.lock == plain.lock
        assert files(ours.root / ".dvc/cache") == files(plain.root / ".dvc/cache")
        assert {one.name for one in (ours.root / "folder").iterdir()} == folder
    assert (ours.root / "still").read_bytes() == (plain.root / "still").read_bytes() == b"1\n"


def test_a_command_that_leaves_the_old_output_makes_none(make_repository):
    """The file of an earlier run is not taken for the result of this one."""
    ours = make_repository("ours")
    run(ours)
    (ours.root / "work.sh").write_text("exit 0\n", encoding="utf-8")
    printed = run(ours, code=1, jobs=1)
    assert "failed train@a: output 'model-a' does not exist" in printed
    assert "up to date" not in ours.dvc("status")


def test_a_missing_dependency_is_said_before_the_command_runs(make_repository):
    ours = make_repository("ours")
    (ours.root / "source").unlink()
    printed = run(ours, code=1, jobs=1)
    (line,) = [line for line in printed.splitlines() if "failed code: " in line]
    assert "No such file" in line and "source" in line
    assert "begin code" not in printed and "8 not run" in printed


def test_an_unknown_stage_is_one_line(make_repository):
    printed = run(make_repository("ours"), code=1, targets=("none",))
    assert printed.splitlines()[-1].startswith("ValueError: dvc: ")


def test_a_driver_that_was_killed_goes_on(make_repository, plain):
    """Its commands end with it where the stage looks after that; here they are killed by hand."""
    ours = make_repository("ours")
    (ours.root / "wait-train@c").touch()
    with started(ours, jobs=2):
        until(lambda: "score@b" in ours.lock if (ours.root / "dvc.lock").exists() else False)
    (ours.root / "wait-train@c").unlink()
    before = ours.ran()
    assert before["train@c"] == 1
    printed = run(ours, jobs=2)
    assert "5 unchanged" in printed and "4 run" in printed
    assert ours.ran().keys() == {"train@c", "score@c"}
    assert stages_of(ours) == stages_of(plain)  # in another order
    assert "up to date" in ours.dvc("status")


@pytest.mark.parametrize("left", ["", '{"write": {"/a/score-b.json": {"pid": 1'])
def test_claims_that_a_kill_cut_short_stop_nobody(make_repository, left):
    """DVC (3.67.1) writes its list of locked files in place: a kill may leave a part of it."""
    ours = make_repository("ours")
    claims = ours.root / ".dvc/tmp/rwlock"
    claims.parent.mkdir(exist_ok=True)
    claims.write_text(left, encoding="utf-8")
    assert "corrupted" in ours.dvc("repro", "--single-item", "train@a", code=255)
    assert "9 run" in run(ours, jobs=2)
    assert "up to date" in ours.dvc("status")


def test_two_at_once_refuse_each_other(make_repository):
    ours = make_repository("ours")
    (ours.root / "wait-train@a").touch()
    with started(ours, jobs=1) as process:
        until(lambda: (ours.root / "ran/train@a").exists())
        second = run(ours, code=1)
        assert f"trapmid run: another process is at work on it (pid {process.pid})" in second
        assert "is busy" in ours.dvc("repro", code=255)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=180)
    assert process.returncode == 130, printed
    assert "stopped" in printed
    (ours.root / "wait-train@a").unlink()
    assert "8 run" in run(ours)


def test_a_lost_worker_is_replaced_once(make_repository, plain):
    from distributed import LocalCluster

    ours = make_repository("ours")
    (ours.root / "wait-train@b").touch()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        started(ours, scheduler=cluster.scheduler_address) as process,
    ):
        until(lambda: any(_waits(worker.pid) for worker in cluster.workers.values()))
        (busy,) = [w.pid for w in cluster.workers.values() if _waits(w.pid)]
        (ours.root / "wait-train@b").unlink()
        os.kill(busy, signal.SIGKILL)
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert ours.lock == plain.lock
    assert ours.ran()["train@b"] == 2
    assert "up to date" in ours.dvc("status")


def _waits(pid: int) -> bool:
    """Whether a worker runs the command that waits."""
    return any(one.name() == "sleep" for one in psutil.Process(pid).children(recursive=True))


def test_a_resource_that_no_worker_has(make_repository):
    from distributed import LocalCluster

    ours = make_repository("ours")
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        printed = run(ours, code=1, scheduler=address, resources={"GPU": 1.0})
    assert "--resource GPU=1: none of 1 workers has it" in printed
    assert ours.ran() == {}


_SBATCH = """#!/bin/sh
cp "$1" "$0.$$"  # as Slurm does: the script is removed at once
setsid sh "$0.$$" > "$0.log" 2>&1 &
echo "Submitted batch job $!"
"""
_SCANCEL = """#!/bin/sh
kill -- -"$1" || true
"""


def test_slurm_gets_its_workers(make_repository, plain, tmp_path, monkeypatch):
    """A stand-in for sbatch starts the job's script here."""
    ours = make_repository("ours")
    for name, text in {"sbatch": _SBATCH, "scancel": _SCANCEL}.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    keys = "{queue: all, cores: 1, processes: 1, memory: 1GB, jobs: 2, interface: lo}"
    (tmp_path / "slurm.yaml").write_text(keys, encoding="utf-8")
    printed = run(ours, slurm=tmp_path / "slurm.yaml")
    assert "9 run" in printed
    assert ours.lock == plain.lock


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{jobs: 0, cores: 1, memory: 1GB}", "jobs: must be 1 or more, is 0"),
        ("[1, 2]", "must be keys and values"),
        ("{jobs: 1, cores: 1, memory: 1GB, nonsense: 3}", "nonsense"),
        ("{", "cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # dask-jobqueue's
def test_a_wrong_file_for_slurm_is_one_line(tmp_path, text, why):
    file = tmp_path / "slurm.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=why) as caught, cluster.slurm(file, {}):
        pass
    assert str(caught.value).startswith(f"{file}: ")
    assert len(str(caught.value).splitlines()) == 1
    del caught
    gc.collect()  # a cluster that refused its keys complains when it is collected: here, not later


def test_a_file_for_slurm_that_is_not_there(tmp_path):
    file = tmp_path / "slurm.yaml"
    said = re.escape(f"{file}: cannot be read (No such file or directory)")
    with pytest.raises(ValueError, match=f"^{said}$"), cluster.slurm(file, {}):
        pass


def test_a_scheduler_that_does_not_answer(make_repository):
    address = "tcp://127.0.0.1:9"
    printed = run(make_repository("ours"), code=1, patience=1, scheduler=address)
    assert "--scheduler tcp://127.0.0.1:9: no answer" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("own", "plan", "threads"),
    [
        ({}, Plan(), None),
        ({}, Plan(jobs=10**6), "1"),
        ({"OMP_NUM_THREADS": "7"}, Plan(jobs=2), "7"),
        ({"OMP_NUM_THREADS": "7"}, Plan(jobs=2, threads=3), "3"),
        ({}, Plan(jobs=2, scheduler="tcp://x"), None),
        ({}, Plan(scheduler="tcp://x", threads=2), "2"),
    ],
)
def test_threads_of_a_command(own, plan, threads):
    assert environment(own, plan).get("OMP_NUM_THREADS") == threads


@pytest.mark.parametrize(
    ("asked", "cores", "device", "own", "found"),
    [
        (("auto", None), 2, "cpu", {}, (2, 1)),
        (("auto", None), 16, "cpu", {}, (4, 1)),
        (("auto", None), 1, "cpu", {}, (1, 1)),
        (("auto", 3), 2, "cpu", {}, (2, 3)),
        (("auto", None), 2, "cpu", {"OMP_NUM_THREADS": "7"}, (2, 7)),
        (("auto", None), 2, "cpu", {"OMP_NUM_THREADS": "4,2"}, (2, None)),
        (("auto", None), 16, "cuda", {}, (1, None)),
        ((3, None), 16, "cpu", {}, (3, 5)),
        ((1, None), 16, "cpu", {}, (1, None)),
    ],
)
def test_how_many_jobs_suit_a_machine(monkeypatch, asked, cores, device, own, found):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*range(cores)}, raising=False)
    assert shares(*asked, device, own) == found


def test_python_is_the_one_that_runs_this():
    """`.venv/bin/trapmid run`, where nothing was activated: DVC's commands say `python`."""
    own = str(Path(sys.executable).parent)
    assert environment({"PATH": "/bin"}, Plan())["PATH"] == f"{own}{os.pathsep}/bin"
    assert environment({"PATH": "/bin"}, Plan(scheduler="tcp://x"))["PATH"] == "/bin"


def test_jobs_share_the_cores_that_they_may_use(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {8, 9, 10, 11}, raising=False)
    assert environment({}, Plan(jobs=2))["OMP_NUM_THREADS"] == "2"
