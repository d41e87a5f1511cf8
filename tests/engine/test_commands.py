"""A command runs with the environment that it was given, and with no other."""

from __future__ import annotations

import threading
import time

import pytest

from trapmid.engine import commands
from trapmid.engine.commands import Command, Crew


def command(tmp_path, *scripts, **environment):
    lines = tuple(("/bin/sh", "-c", script) for script in scripts)
    return Command("a", lines, str(tmp_path), environment, str(tmp_path / "logs/a.log"))


def test_its_output_is_in_the_log(tmp_path):
    ended = commands.execute(command(tmp_path, "echo out; echo err >&2; pwd"))
    assert ended.code == 0 and 0 < ended.seconds < 30
    log = (tmp_path / "logs/a.log").read_text(encoding="utf-8")
    assert log.splitlines() == ["out", "err", str(tmp_path)]


def test_it_has_no_variable_of_this_process(tmp_path, monkeypatch):
    monkeypatch.setenv("ONLY_HERE", "1")
    commands.execute(command(tmp_path, "echo [$ONLY_HERE] [$OURS]", OURS="2"))
    assert commands.last_lines(str(tmp_path / "logs/a.log")) == ["[] [2]"]


@pytest.mark.parametrize("own", ["3", None])
def test_which_gpu_says_the_worker(tmp_path, monkeypatch, own):
    """Each of four workers on a machine has one of its GPUs; the driver's are another machine's."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if own is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", own)
    commands.execute(
        command(tmp_path, "echo [${CUDA_VISIBLE_DEVICES-all}]", CUDA_VISIBLE_DEVICES="0")
    )
    assert commands.last_lines(str(tmp_path / "logs/a.log")) == [f"[{own or 'all'}]"]


def test_the_first_line_that_fails_is_the_last(tmp_path):
    ended = commands.execute(command(tmp_path, "echo 1", "echo 2; exit 7", "echo 3"))
    assert ended.code == 7
    assert commands.last_lines(str(tmp_path / "logs/a.log")) == ["1", "2"]


def test_a_signal_is_a_negative_code(tmp_path):
    assert commands.execute(command(tmp_path, "kill -9 $$")).code == -9


def test_no_log_has_no_lines(tmp_path):
    assert commands.last_lines(str(tmp_path / "none")) == []


def test_all_can_be_stopped(tmp_path):
    crew, ended = Crew(), []
    one = command(tmp_path, "echo begun; exec sleep 60", "echo no")
    thread = threading.Thread(target=lambda: ended.append(commands.execute(one, crew=crew)))
    thread.start()
    while commands.last_lines(one.log) != ["begun"]:
        time.sleep(0.01)
    crew.stop()
    thread.join(timeout=30)
    assert ended and ended[0].code == -15
    assert commands.last_lines(one.log) == ["begun"]


def test_what_has_not_quite_begun_is_stopped_too(tmp_path):
    """To begin may take seconds: a process that is to be forked loads torch before the first."""
    crew, beginning, go = Crew(), threading.Event(), threading.Event()

    def slowly(*given):
        beginning.set()
        go.wait()
        return commands.begin(*given)

    ended = []
    one = command(tmp_path, "exec sleep 60")
    thread = threading.Thread(target=lambda: ended.append(commands.execute(one, slowly, crew)))
    thread.start()
    beginning.wait()
    crew.stop()
    go.set()
    thread.join(timeout=30)
    assert ended and ended[0].code == -15


def test_it_reads_nothing_from_the_terminal(tmp_path):
    ended = commands.execute(command(tmp_path, "cat; echo end"))
    assert ended.code == 0
    assert commands.last_lines(str(tmp_path / "logs/a.log")) == ["end"]
