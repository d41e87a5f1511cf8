"""DVC's books: which stages there are, which are stale, and what is recorded of them.

The only module that knows DVC. It does for one stage what `dvc repro` (3.67.1) does for each, in
the same order and under the same locks, so either may go on where the other stopped. Between two
stages nothing of it is locked but the files of the stages in flight.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from dvc.dependency import param
from dvc.exceptions import DvcException
from dvc.lock import LockError, make_lock
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK, rwlock
from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.run import _enforce_cmd_list, _make_cmd, get_executable, prepare_kwargs
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml

from trapmid.engine import lock_text
from trapmid.engine.commands import Command

Settled = Literal["unchanged", "restored", "recorded"]
LOGS = Path(".scratch/run")


class BookkeepingError(ValueError):
    """Something stops a stage, or the books; the message is one line."""


class Books:
    """The books of the DVC repository at `root`.

    Args:
        root: the folder of dvc.yaml.
        environment: of the commands; DVC adds DVC_ROOT and DVC_STAGE.
        targets: stages to bring up to date, with all upstream; none: those of `root`/dvc.yaml.

    Raises:
        BookkeepingError: dvc.yaml or dvc.lock cannot be read, or there is no such stage.
    """

    def __init__(
        self, root: Path, environment: Mapping[str, str], targets: Sequence[str] = ()
    ) -> None:
        self._root, self._environment = root.resolve(), dict(environment)
        self._held: dict[str, ExitStack] = {}
        with _one_line():
            param.load_path = _once_per_version(param.load_path)
            self._repo = Repo(str(root), _wait_for_lock=True)
            self._forget_torn_claims()
            with self._repo.lock:  # the decorators of DVC's commands would reset the index
                graph = get_active_graph(self._repo.index.graph)
                named = targets or [str(root / "dvc.yaml")]
                steps = plan_repro(graph, [s for n in named for s in self._repo.stage.collect(n)])
            self._lock = self._root / "dvc.lock"
            self._old = list(lock_text.split(self._text())[1])
        self._stages = {stage.addressing: stage for stage in steps}
        self.plan = list(self._stages)
        """The stages in the order of `dvc repro`."""
        self.upstream = {
            stage.addressing: {one.addressing for one in graph.successors(stage)} for stage in steps
        }
        """What must be settled before a stage is."""

    def settle(self, name: str) -> Settled | Command:
        """Says that a stage is up to date, restores it from the run cache, or what must run.

        A command's stage is locked until `record` or `give_up`. Its outputs are gone. What a user
        brought (`dvc add`) has no command: as it is now, it is recorded.

        Raises:
            BookkeepingError: another process works on its files, or a dependency is missing.
        """
        stage = self._stages[name]
        with _one_line(), self._repo.lock:
            if stage.frozen or not stage.changed():
                return "unchanged"
            if not stage.cmd:  # its files are nobody's outputs, and must stay
                stage.run()
                stage.dump(update_pipeline=False)
                return "recorded"
            self._hold(stage)
            try:
                stage.remove_outs(ignore_remove=False, force=False)
                try:
                    self._repo.stage_cache.restore(stage)
                except RunCacheNotFoundError:
                    stage.save_deps()
                    return self._command(stage)
                self._save(stage)
            except BaseException:
                self.give_up(name)
                raise
            self.give_up(name)
            return "restored"

    def record(self, name: str) -> None:
        """Writes into cache and dvc.lock what a command that ended well has made.

        Raises:
            BookkeepingError: an output is missing, or it cannot be written into the cache.
        """
        try:
            with _one_line(), self._repo.lock:
                self._save(self._stages[name])
        finally:
            self.give_up(name)

    def give_up(self, name: str) -> None:
        """Unlocks the files of a stage."""
        self._held.pop(name, ExitStack()).close()

    def close(self) -> None:
        """Unlocks everything, and puts new stages of dvc.lock in the order of `dvc repro`."""
        for name in list(self._held):
            self.give_up(name)
        with _one_line(), self._repo.lock:
            text = self._text()
            if (ordered := lock_text.in_order(text, self._old, self.plan)) != text and text:
                self._write(ordered)
            self._repo.close()

    def _forget_torn_claims(self) -> None:
        """Removes DVC's list of locked files where a killed process left it cut short.

        DVC empties and fills it in place, and from then on refuses every stage. Nobody writes it
        while its own lock is held, so half a list is of a process that is gone.
        """
        folder, hard = self._repo.tmp_dir, self._repo.config["core"].get("hardlink_lock", False)
        claims = Path(folder, RWLOCK_FILE)
        with make_lock(os.path.join(folder, RWLOCK_LOCK), tmp_dir=folder, hardlink_lock=hard):
            try:
                json.loads(claims.read_text(encoding="utf-8"))
            except FileNotFoundError:
                pass
            except ValueError:
                claims.unlink()

    def _hold(self, stage: Any) -> None:
        """DVC's own lock of files, by the name under which its decorators lock them again.

        What several stages in flight read is unlocked with the first that ends: DVC counts a name
        once. What they write stays locked, which is what a second DVC would run into.
        """
        read, write = ([one.fs_path for one in side] for side in (stage.deps, stage.outs))
        held = ExitStack()
        words, hard = " ".join(sys.argv), self._repo.config["core"].get("hardlink_lock", False)
        held.enter_context(rwlock(self._repo.tmp_dir, self._repo.fs, words, read, write, hard))
        self._held[stage.addressing] = held

    def _command(self, stage: Any) -> Command:
        made = prepare_kwargs(stage)
        own = {name: made["env"][name] for name in ("DVC_ROOT", "DVC_STAGE")}
        shell = get_executable()
        return Command(
            stage=stage.addressing,
            lines=tuple(tuple(_make_cmd(shell, one)) for one in _enforce_cmd_list(stage.cmd)),
            folder=str(made["cwd"]),
            environment=self._environment | own,
            log=str(self._root / LOGS / f"{stage.addressing}.log"),
        )

    def _save(self, stage: Any) -> None:
        uncached = any(not o.use_cache for o in stage.outs if not (o.is_metric or o.is_plot))
        stage.save(run_cache=not uncached)
        stage.commit()
        if stage.path_in_repo != "dvc.yaml":  # of a folder below, whose lock is its own
            stage.dump(update_pipeline=False)
            return
        block = dumps_yaml({"stages": to_lockfile(stage)}).removeprefix("stages:\n")
        self._write(lock_text.put(self._text(), block))

    def _write(self, text: str) -> None:
        """Whole or not at all; without `artifacts.checkpoints`, which would load torch."""
        beside = self._lock.with_name(f".dvc.lock.{os.getpid()}.tmp")
        try:
            with beside.open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(self._lock)
        except OSError as error:  # of a full disk it names no file
            raise OSError(error.errno, error.strerror, str(self._lock)) from None
        finally:
            beside.unlink(missing_ok=True)

    def _text(self) -> str:
        return self._lock.read_text(encoding="utf-8") if self._lock.exists() else ""


@contextmanager
def _one_line() -> Iterator[None]:
    """Turns what stops one stage into a `BookkeepingError` of one line: other stages go on.

    That is what DVC raises, a disk's error (it is full), and a dvc.lock that somebody changed.
    """
    try:
        yield
    except (DvcException, LockError, OSError, ValueError) as error:
        raise BookkeepingError(" ".join(str(error).split())) from None


def _once_per_version(load: Callable[..., Any]) -> Callable[..., Any]:
    """DVC's reader of parameter files, which parses each anew at every look: here once a version.

    At 396 stages params.yaml was more than half of DVC's time.
    """

    @functools.lru_cache(maxsize=8)
    def parsed(path: str, _modified: int, _size: int, fs: Any) -> Any:
        return load(path, fs)

    @functools.wraps(load)
    def remembered(path: str, fs: Any, **options: Any) -> Any:
        if options or not os.path.isfile(path):
            return load(path, fs, **options)
        found = os.stat(path)
        return parsed(path, found.st_mtime_ns, found.st_size, fs)

    return load if hasattr(load, "__wrapped__") else remembered
