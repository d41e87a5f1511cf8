"""One process a row, and none that DVC no longer waits for.

DVC (3.67.1) that is killed leaves its command running (findings/dvc_sigterm_leaves_command.sh); the
next `dvc repro` would start the same row beside it, and the older process would write last.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

STARTED_BY = os.getppid()  # as soon as a stage begins: seconds before torch is loaded
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_dvc() -> None:
    """From now on this process is killed when the one that started it ends, if that was DVC.

    A stage that a person started, with `nohup` or `setsid` perhaps, goes on without its parent.
    """
    if "DVC_STAGE" in os.environ:  # DVC sets it for every command
        end_with(STARTED_BY)


def end_with(parent: int) -> None:
    """Kills this process when its parent, which was `parent`, has ended or ends.

    Nothing is caught or tidied up: files are written under other names and renamed, and locks go
    with their process. Linux does it by itself; elsewhere a thread looks once a second.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _kill_unless(parent)  # it may have ended before
    else:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()


def watch(parent: int, seconds: float = 1.0) -> None:
    """Looks every so many seconds whether the parent is still `parent`, and kills this process."""
    while True:
        _kill_unless(parent)
        time.sleep(seconds)


def _kill_unless(parent: int) -> None:
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
