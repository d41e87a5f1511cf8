"""State of unfinished trainings: saved at intervals, found again by what it belongs to.

The folder's name is a hash of everything that defines the training, so a state can never be resumed
under other parameters, data or code. It is no output of a stage: DVC does not know of it.

A saved state is a convenience. One that cannot be read or written costs a line on stderr and the
time that it would have saved, never the training.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import itertools
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.types import DivergedError, InMemory, Stateful


@dataclass(frozen=True)
class Spent:
    """What work took, in seconds.

    A process that waits for its turn beside others spends time and no `cpu`: only the second says
    what the work costs where a study runs two stages at once.
    """

    wall: float = 0.0  # as a clock says
    cpu: float = 0.0  # of this process on all cores together

    @staticmethod
    def now() -> Spent:
        """Two clocks whose differences alone mean something."""
        return Spent(perf_counter(), process_time())

    def and_since(self, begun: Spent) -> Spent:
        """This, and what was spent since `begun`, an earlier `now()`."""
        now = Spent.now()
        return Spent(self.wall + now.wall - begun.wall, self.cpu + now.cpu - begun.cpu)


class Scratch(InMemory):
    """The `Checkpointer` of a stage: curve and state of one training, in one folder."""

    def __init__(self, folder: Path, title: str) -> None:
        super().__init__()
        self._state = folder / "state.pt"
        self._title = title
        self._begun = Spent.now()
        self.earlier = Spent()  # by interrupted runs, up to the state that was restored
        self._bar: tqdm[Any] | None = None

    def progress(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, initial=done, desc=self._title, mininterval=1.0)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        """As `Checkpointer.restore`; a state that cannot be used is put aside, with a warning."""
        if not self._state.exists():
            return 0
        try:
            saved = checkpoints.load(self._state)
        except (CheckpointError, OSError):
            return self._put_aside("is damaged")
        if (misfit := _put_back(parts, saved)) is not None:
            return self._put_aside(f"does not fit ({misfit})")
        self.rows = json.loads(saved["rows"])
        self.earlier = Spent(**saved["spent"])
        return int(saved["step"])

    def _put_aside(self, reason: str) -> int:
        """The step at which the training then begins, 0."""
        aside = self._state.replace(self._state.with_name("state.pt.damaged"))
        self._warn(f"the saved state {reason}: it is now {aside}, and the work begins anew")
        return 0

    def _warn(self, message: str) -> None:
        print(f"warning: {self._title}: {message}", file=sys.stderr)

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        """As `Checkpointer.save`; a state that cannot be written is a warning."""
        states = {name: part.state_dict() for name, part in parts.items()}
        content = {
            "parts": states,
            "rows": json.dumps(self.rows),
            "step": step,
            "spent": asdict(self.earlier.and_since(self._begun)),
        }
        try:
            checkpoints.save(self._state, content)
        except OSError as error:
            self._warn(f"{error}; the work goes on, and after a crash from an earlier state")

    def history(self) -> bytes | None:
        """The curve as CSV, `step` first, then every metric in order of appearance; None: empty."""
        if not self.rows:
            return None
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in self.rows)
        return text.getvalue().encode()


@contextmanager
def scratch(root: Path, title: str, *identity: Any) -> Iterator[Scratch]:
    """A `Scratch` for the training that `identity` (JSON values) defines, in a `folder` of its own.

    Raises:
        DivergedError: the block raised it; the message begins with `title`.
    """
    with folder(root, title, *identity) as place:
        try:
            yield Scratch(place, title)
        except DivergedError as error:
            raise DivergedError(f"{title}: {error}") from None


@contextmanager
def folder(root: Path, title: str, *identity: Any) -> Iterator[Path]:
    """A folder for the unfinished work that `identity` (JSON values) defines.

    It goes when the block ends well, and stays for a later run when it does not. Experiments beside
    each other (`dvc queue start --jobs 2`) may be at the same work, each in a checkout of its own
    and all with one `root`: the second gets a second folder, and finds there what it left itself.
    """
    key = hashlib.sha256(json.dumps([title, *identity], sort_keys=True).encode()).hexdigest()[:20]
    root.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        name = key if number == 1 else f"{key}-{number}"
        try:
            lock = FileLock(root / f"{name}.lock", blocking=False).acquire()
        except Timeout:
            continue
        with lock:
            (place := root / name).mkdir(exist_ok=True)
            yield place
            shutil.rmtree(place, ignore_errors=True)
        return


def _put_back(parts: Mapping[str, Stateful], saved: Mapping[str, Any]) -> str | None:
    """Loads the states of `parts`, or leaves them as they are and returns why one does not fit."""
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None
