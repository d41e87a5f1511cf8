"""State of unfinished trainings: saved at intervals, found again by what it belongs to.

The folder's name is a hash of everything that defines the training, so a state can never be resumed
under other parameters, data or code. It is no output of a stage: DVC does not know of it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from trapmid.artifacts import checkpoints
from trapmid.types import InMemory, Stateful


class Scratch(InMemory):
    """The `Checkpointer` of a stage: curve and state of one training, in one folder."""

    def __init__(self, folder: Path, title: str) -> None:
        super().__init__()
        self._state = folder / "state.pt"
        self._title = title
        self._begun = perf_counter()
        self.earlier = 0.0  # seconds of interrupted runs, up to the state that was restored
        self._bar: tqdm[Any] | None = None

    def progress(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, initial=done, desc=self._title, mininterval=1.0)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        if not self._state.exists():
            return 0
        saved = checkpoints.load(self._state)
        for name, part in parts.items():
            part.load_state_dict(saved["parts"][name])
        self.rows = json.loads(saved["rows"])
        self.earlier = float(saved["seconds"])
        return int(saved["step"])

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        states = {name: part.state_dict() for name, part in parts.items()}
        seconds = self.earlier + perf_counter() - self._begun
        content = {
            "parts": states,
            "rows": json.dumps(self.rows),
            "step": step,
            "seconds": seconds,
        }
        checkpoints.save(self._state, content)

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
    """A scratch folder for the training that `identity` (JSON values) defines.

    The folder goes when the block ends well, and stays for a later run when it does not.

    Raises:
        BlockingIOError: another process is training the same thing.
    """
    key = hashlib.sha256(json.dumps([title, *identity], sort_keys=True).encode()).hexdigest()[:20]
    folder = root / key
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(root / f"{key}.lock", blocking=False).acquire()
    except Timeout:
        raise BlockingIOError(f"{title}: another process is training it ({folder})") from None
    with lock:
        yield Scratch(folder, title)
        shutil.rmtree(folder, ignore_errors=True)
