"""A training that stops half-way goes on from where it was saved, and nobody else joins in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from toy import same_state
from trapmid.artifacts.scratch import Scratch, scratch


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


def train_on_and_die(checkpointer: Scratch, earlier: float) -> None:
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
    monkeypatch.setattr("trapmid.artifacts.scratch.perf_counter", lambda: next(clock))
    for earlier in (0.0, 7.0):
        with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "t", 1) as checkpointer:
            train_on_and_die(checkpointer, earlier)
    with scratch(tmp_path, "t", 1) as checkpointer:
        checkpointer.restore(parts(1))
        assert checkpointer.earlier == 10.0


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


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    second = "from pathlib import Path; from trapmid.artifacts.scratch import scratch\n"
    second += f"with scratch(Path({str(tmp_path)!r}), 'training x', 1): print('in')"
    command = [sys.executable, "-c", second]
    with scratch(tmp_path, "training x", 1) as checkpointer:
        checkpointer.save(parts(0), 1)
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == 1
        assert "BlockingIOError: training x: another process is training it" in refused.stderr
        assert checkpointer.restore(parts(1)) == 1  # and it did no harm
        with (
            pytest.raises(BlockingIOError, match="another process"),
            scratch(tmp_path, "training x", 1),
        ):
            pass
        with scratch(tmp_path, "training y", 1):
            pass
    with scratch(tmp_path, "training x", 1):
        pass  # free again


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
