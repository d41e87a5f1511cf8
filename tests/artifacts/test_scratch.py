"""A training that stops half-way goes on from where it was saved, and nobody else joins in."""

from __future__ import annotations

import copy
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from toy import same_state
from trapmid.artifacts.scratch import Scratch, Spent, scratch
from trapmid.types import DivergedError


def parts(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    layer = nn.Linear(2, 2)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    adam.step()
    return {"layer": layer, "adam": adam}


def train_and_die(checkpointer: Scratch, state: dict[str, Any]) -> None:
    """A training of two steps that saves after the first and is killed after the second."""
    assert checkpointer.restore(parts(1)) == 0
    checkpointer.log({"loss": 2.0}, 1)
    checkpointer.save(state, 1)
    checkpointer.log({"loss": 1.0}, 2)  # after the save: not part of the state
    raise KeyboardInterrupt


def train_on_and_die(checkpointer: Scratch, earlier: Spent) -> None:
    checkpointer.restore(parts(1))
    assert checkpointer.earlier == earlier
    checkpointer.save(parts(0), 1)
    raise KeyboardInterrupt


def folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()]


def test_state_and_curve_survive_an_interruption(tmp_path: Path) -> None:
    saved = parts(0)
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "t", {"lr": 1}) as checkpointer:
        train_and_die(checkpointer, saved)
    assert len(folders(tmp_path)) == 1

    found = parts(1)
    with scratch(tmp_path, "t", {"lr": 1}) as checkpointer:
        assert checkpointer.restore(found) == 1
        assert same_state(found["layer"].state_dict(), saved["layer"].state_dict())
        moments = [p["adam"].state_dict()["state"][0]["exp_avg"] for p in (found, saved)]
        assert torch.equal(*moments)
        checkpointer.log({"loss": 0.5}, 2)
        assert checkpointer.history() == b"step,loss\n1,2\n2,0.5\n"
    assert folders(tmp_path) == []


def test_time_before_an_interruption_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the state that was saved: what came after it is done again."""
    clock = iter([100.0, 107.0, 200.0, 203.0, 300.0])
    processor = iter([0.5, 4.5, 0.5, 2.5, 0.5])  # another process begins at its own nought
    monkeypatch.setattr("trapmid.artifacts.scratch.perf_counter", lambda: next(clock))
    monkeypatch.setattr("trapmid.artifacts.scratch.process_time", lambda: next(processor))
    for earlier in (Spent(), Spent(7.0, 4.0)):
        with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "t", 1) as checkpointer:
            train_on_and_die(checkpointer, earlier)
    with scratch(tmp_path, "t", 1) as checkpointer:
        checkpointer.restore(parts(1))
        assert checkpointer.earlier == Spent(10.0, 6.0)


def test_no_curve_is_no_file(tmp_path: Path) -> None:
    assert Scratch(tmp_path, "t").history() is None


def test_another_identity_is_another_training(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        scratch(tmp_path, "t", {"lr": 1}, ["digest"]) as checkpointer,
    ):
        train_and_die(checkpointer, parts(0))
    for title, *identity in (
        ("t", {"lr": 2}, ["digest"]),
        ("t", {"lr": 1}, ["other"]),
        ("u", {"lr": 1}, ["digest"]),
    ):
        with scratch(tmp_path, str(title), *identity) as checkpointer:
            assert checkpointer.restore(parts(1)) == 0
    with scratch(tmp_path, "t", {"lr": 1}, ["digest"]) as checkpointer:
        assert checkpointer.restore(parts(1)) == 1


def test_key_order_is_no_part_of_the_identity(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "t", {"a": 1, "b": 2}) as checkpointer:
        train_and_die(checkpointer, parts(0))
    with scratch(tmp_path, "t", {"b": 2, "a": 1}) as checkpointer:
        assert checkpointer.restore(parts(1)) == 1


@pytest.mark.slow
def test_a_second_process_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """As experiments of DVC's queue that run beside each other and begin with one training."""
    second = "from pathlib import Path; from trapmid.artifacts import scratch\n"
    second += f"with scratch.folder(Path({str(tmp_path)!r}), 'training x', 1) as place:\n"
    second += "    print(place, list(place.iterdir()))\n    raise SystemExit(7)"
    command = [sys.executable, "-c", second]
    with scratch(tmp_path, "training x", 1) as checkpointer:
        checkpointer.save(parts(0), 1)
        beside = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (beside.returncode, beside.stderr) == (7, "")
        assert beside.stdout.endswith("-2 []\n")
        assert checkpointer.restore(parts(1)) == 1  # and it did no harm
        with scratch(tmp_path, "training x", 1) as other:
            assert other.restore(parts(1)) == 0
            other.save(parts(0), 2)
        with scratch(tmp_path, "training x", 1) as other:
            assert other.restore(parts(1)) == 0
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_the_curve_puts_step_first_and_leaves_gaps_empty(tmp_path: Path) -> None:
    checkpointer = Scratch(tmp_path, "t")
    checkpointer.log({"loss": 1 / 3}, 10)
    checkpointer.log({"accuracy": 0.5, "loss": 1e-9}, 56160)
    assert checkpointer.history() == b"step,loss,accuracy\n10,0.333333,\n56160,1e-09,0.5\n"


def test_the_bar_goes_on_where_the_training_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpointer = Scratch(tmp_path, "title")
    checkpointer.progress(3, 4)
    checkpointer.progress(4, 4)
    shown = capsys.readouterr().err
    assert "title" in shown and "4/4" in shown


def interrupted(root: Path, state: dict[str, Any] | None = None) -> Path:
    """The state that a training left which was killed."""
    with pytest.raises(KeyboardInterrupt), scratch(root, "row", 1) as checkpointer:
        train_and_die(checkpointer, state or parts(0))
    return next(root.glob("*/state.pt"))


def states(of: dict[str, Any]) -> dict[str, Any]:
    """A copy of the states of parts."""
    return copy.deepcopy({name: part.state_dict() for name, part in of.items()})


def begins_anew(root: Path, found: dict[str, Any], message: str) -> Callable[[str], None]:
    """Restores into `found`, which must stay as it is; returns what reads the warning."""
    before = states(found)
    with scratch(root, "row", 1) as checkpointer:
        assert checkpointer.restore(found) == 0
        assert not checkpointer.rows and checkpointer.earlier == Spent()
        assert len(list(root.glob("*/state.pt.damaged"))) == 1
        assert not list(root.glob("*/state.pt"))
        assert str(states(found)) == str(before)
        checkpointer.save(parts(3), 1)
        assert checkpointer.restore(parts(1)) == 1  # and a new state is as good as any

    def check(printed: str) -> None:
        assert printed.startswith("warning: row: the saved state ") and printed.count("\n") == 1
        assert message in printed and "state.pt.damaged, and the work begins anew" in printed

    return check


@pytest.mark.parametrize("where", [0.1, 0.5, 0.99])
def test_a_damaged_state_is_put_aside(
    tmp_path: Path, where: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path = interrupted(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[int(where * len(damaged))] ^= 16
    path.write_bytes(damaged)
    begins_anew(tmp_path, parts(1), "is damaged")(capsys.readouterr().err)


@pytest.mark.parametrize("missing", ["layer", "adam", "third", "shape", "group"])
def test_a_state_that_does_not_fit_is_put_aside_and_leaves_no_trace(
    tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The parts before the one that does not fit were loaded already."""
    saved, found = parts(0), parts(1)
    if missing in saved:
        del saved[missing]
    elif missing == "third":
        found["third"] = nn.Linear(1, 1)
    elif missing == "shape":
        saved = {"adam": saved["adam"], "layer": nn.Linear(3, 2)}
    else:
        saved["adam"] = torch.optim.Adam(nn.Linear(2, 2, bias=False).parameters())
    interrupted(tmp_path, saved)
    begins_anew(tmp_path, found, "does not fit (")(capsys.readouterr().err)


def test_a_state_that_cannot_be_saved_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = interrupted(tmp_path)
    before = path.read_bytes()
    sync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with scratch(tmp_path, "row", 1) as checkpointer:
        monkeypatch.setattr(os, "fsync", full)
        checkpointer.save(parts(5), 2)
        printed = capsys.readouterr().err
        assert printed.startswith("warning: row: ") and printed.count("\n") == 1
        assert "state.pt: cannot be written: No space left on device; the work goes on" in printed
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == ["state.pt"]
        monkeypatch.setattr(os, "fsync", sync)
        checkpointer.save(parts(5), 2)
        assert checkpointer.restore(parts(1)) == 2
    assert capsys.readouterr().err == ""


def test_what_diverged_is_named_by_its_title(tmp_path: Path) -> None:
    with (
        pytest.raises(DivergedError, match=r"^targets none-0: epoch 3 of 5: loss is nan"),
        scratch(tmp_path, "targets none-0"),
    ):
        raise DivergedError("epoch 3 of 5: loss is nan")
