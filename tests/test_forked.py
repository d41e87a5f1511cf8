"""A fork of the process that has loaded torch is what a new interpreter is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import forked

pytestmark = pytest.mark.slow

SCRIPT = """
import atexit, json, os, random, sys, threading
atexit.register(print, "ended")
found = {
    "folder": os.getcwd(),
    "environment": {k: v for k, v in os.environ.items() if k != "PATH"},  # it has more commands
    "words": sys.argv,
    "path": sys.path,
    "name": __name__,
    "read": sys.stdin.read(),
    "threads": threading.active_count(),
    "project": sorted(name for name in sys.modules if name.partition(".")[0] == "trapmid"),
}
print(json.dumps(found, sort_keys=True))
threading.Timer(0.1, print, ["a thread"]).start()
print("an error", file=sys.stderr)
sys.exit({"0": None, "3": 3, "text": "a reason"}[sys.argv[1]])
"""


@pytest.mark.parametrize("word", ["0", "3", "text"])
@pytest.mark.parametrize("named", [["script.py"], ["-m", "script"]])
def test_a_fork_is_a_new_interpreter(tmp_path, named, word):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path / "first"), "second"])
    environment = {"LC_ALL": "C.UTF-8", "MINE": "1", "PYTHONPATH": paths}
    words = [*named, word]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    code, printed = forked.python(words, tmp_path, environment)
    assert code == done.returncode == {"0": 0, "3": 3, "text": 1}[word]
    assert sorted(printed.splitlines()) == sorted(done.stdout.splitlines())
    assert '"project": []' in printed


def test_an_error_is_a_traceback_and_the_next_fork_runs(tmp_path):
    (tmp_path / "script.py").write_text("left = 1 / 0", encoding="utf-8")
    code, printed = forked.python(["script.py"], tmp_path, os.environ)
    assert code == 1 and printed.endswith("ZeroDivisionError: division by zero\n")
    (tmp_path / "script.py").write_text("print('left' in vars())", encoding="utf-8")
    assert forked.python(["script.py"], tmp_path, {}) == (0, "False\n")


def test_a_killed_fork_says_so(tmp_path):
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    (tmp_path / "script.py").write_text(text, encoding="utf-8")
    assert forked.python(["script.py"], tmp_path, os.environ) == (-9, "")


@pytest.mark.parametrize("word", ["script.py", "stages/script.py"])
def test_a_stage_that_dvc_starts_is_a_fork(tmp_path, word):
    """Whatever else is called `python` in its shell is a new interpreter."""
    command = f"exec python {word} one 'two words'"
    text = f"import subprocess, sys\nsys.exit(subprocess.call({command!r}, shell=True))"
    (tmp_path / "dvc.py").write_text(text, encoding="utf-8")
    (tmp_path / word).parent.mkdir(exist_ok=True)
    said = "import sys\nprint(sys.argv, 'torch' in sys.modules)\nsys.exit(7)\n"
    (tmp_path / word).write_text(said, encoding="utf-8")
    code, printed = forked.python(["dvc.py"], tmp_path, os.environ)
    assert code == 7
    assert printed == f"{[word, 'one', 'two words']} {word.startswith('stages')}\n"
