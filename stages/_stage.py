"""What every stage shares: the parameters, the runtime, records, and errors of one line."""

from __future__ import annotations

import inspect
import json
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import _process  # before torch: DVC may end while torch is loaded
import trapmid  # noqa: F401  # before torch: it says how torch's threads wait for each other

# isort: split
import torch

from _unchanged import ChangedError, Watch
from trapmid.artifacts import checkpoints, locks
from trapmid.artifacts import scratch as unfinished
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import file_digest
from trapmid.artifacts.scratch import Scratch, Spent
from trapmid.config import names
from trapmid.config.params import Study
from trapmid.runtime import (
    Runtime,
    bf16_is_native,
    choose_device,
    choose_precision,
    onednn_level,
)

_watch = Watch(Path(sys.argv[0]).stem)
_AS_DVC_CALLS_IT = re.compile(r"^([^@]*:)?[a-z_]+@")  # DVC_STAGE: ../dvc.yaml:train_target@none-0


class StageError(RuntimeError):
    """A stage cannot go on; the message is one line."""


def run(main: Callable[..., None]) -> None:
    """Calls `main` with the command line's words; a foreseen error is one line and exit code 1.

    `--help` prints the script's docstring; another number of words than `main` has is exit code 2.
    A row may be given as DVC calls its stage, train_target@none-0.
    """
    _process.end_with_dvc()
    words = [_AS_DVC_CALLS_IT.sub("", word, count=1) for word in sys.argv[1:]]
    expected = " ".join(name.upper() for name in inspect.signature(main).parameters)
    usage = f"usage: python stages/{Path(sys.argv[0]).name} {expected}".rstrip()
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(usage, inspect.getdoc(sys.modules[main.__module__]), sep="\n\n")
        return
    if len(words) != len(expected.split()):
        print(usage, "Rows stand in params.yaml; DVC runs every stage.", sep="\n", file=sys.stderr)
        sys.exit(2)
    try:
        for word in words:
            names.check(word, "row")
        with _alone(words):
            _watch.check_code()
            main(*words)
            _watch.check_code()
            _watch.check_params()
    except (ValueError, OSError, CheckpointError, StageError, ChangedError) as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: error: {_explained(str(error))}")
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        asked = re.search(r"[Tt]ried to allocate [\d.]+ \w+", str(error), re.ASCII)
        what = f"out of memory ({asked[0]})" if asked else "out of memory"
        sys.exit(f"{Path(sys.argv[0]).stem}: error: {what}; a smaller batch_size needs less")


def _explained(message: str) -> str:
    """The message, and of batch norm's the parameter that it is about."""
    if message.startswith("Expected more than 1 value per channel"):
        return f"batch_size: 1: batch norm needs two images at least ({message})"
    return message


def _is_out_of_memory(error: Exception) -> bool:
    """Of a GPU, which says so by its type, or of the machine, which says so in words."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "not enough memory" in str(error) or "can't allocate memory" in str(error)


@contextmanager
def _alone(words: list[str]) -> Iterator[None]:
    """Nobody else runs this script on this row of this folder, whatever their parameters.

    A script without a row is not kept from running: `report` and `track` write by themselves what
    they find, and tracking never stops a study.
    """
    if not words:
        yield
        return
    title = " ".join([Path(sys.argv[0]).stem, *words])
    with locks.only_one(locks.ROWS / f"{title.replace(' ', '.')}.lock", title):
        yield


def load_params() -> Study:
    """params.yaml; at its end a stage refuses that a part which it asked for has changed."""
    return _watch.load_params()


def runtime(seed: int, precision: str = "fp32") -> Runtime:
    """The runtime of one row, on the device that this machine offers; says which precision."""
    device = choose_device()
    chosen = choose_precision(precision, device)
    native = bf16_is_native(device)
    if precision == "auto":
        why = "has" if native else "has no"
        print(f"precision: {chosen}; this {device.type} {why} bf16 arithmetic", file=sys.stderr)
    elif chosen == "bf16" and not native:
        print(
            f"warning: precision: bf16 is emulated on this {device.type}, many times slower than "
            "fp32; `auto` chooses by the hardware",
            file=sys.stderr,
        )
    return Runtime(device=device, seed=seed, precision=chosen)


def write_json(path: Path, content: Any) -> None:
    """Sorted, indented JSON, written at once; NaN and infinity are refused."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
    checkpoints.write_atomically(path, text.encode())


def write_record(path: Path, content: dict[str, Any]) -> None:
    """A result that Git keeps and DVC's run cache restores: a list of the one object.

    DVC shows every number of a metrics file whose top is an object, and none of a list's: so only
    reports/summary.json is in `dvc exp show` and `dvc metrics diff`. `read_json` reads both.
    """
    write_json(path, [content])


def scratch_root() -> Path:
    """Where unfinished work is kept: never an output, so DVC does not see it.

    DVC_ROOT is the main checkout even inside `dvc exp run --temp`, whose folder is thrown away.
    """
    return Path(os.environ.get("DVC_ROOT", ".")) / ".scratch"


@contextmanager
def resumable(title: str, blocks: Any, files: list[Path], rt: Runtime) -> Iterator[Scratch]:
    """A place for the state of a training that `blocks`, `files` and this run's code define."""
    digests = [file_digest(file) for file in files]
    with unfinished.scratch(
        scratch_root(), title, blocks, digests, _watch.code(), computed_on(rt)
    ) as checkpointer:
        yield checkpointer


@contextmanager
def resumable_folder(title: str, blocks: Any) -> Iterator[Path]:
    """A folder for unfinished work that `blocks` and this run's code define."""
    with unfinished.folder(scratch_root(), title, blocks, _watch.code()) as folder:
        yield folder


def computed_on(rt: Runtime) -> dict[str, str]:
    """The fields of `scoring.machine.Machine`: what of this machine decides the digits."""
    device = rt.device
    found = {"device": device.type, "precision": rt.precision, "torch": str(torch.__version__)}
    on_cpu, on_cuda = device.type == "cpu", device.type == "cuda"
    return {
        **found,
        "instructions": torch.backends.cpu.get_cpu_capability() if on_cpu else "",
        "onednn": onednn_level() if on_cpu else "",
        "threads": str(torch.get_num_threads()) if on_cpu else "",
        "gpu": torch.cuda.get_device_name(device) if on_cuda else "",
    }


@contextmanager
def records(folder: Path, rt: Runtime, checkpointer: Scratch) -> Iterator[dict[str, Any]]:
    """Times the block; then writes stats.json and, of `checkpointer`, history.csv into `folder`.

    The time of interrupted runs counts as far as their state was of use, and `started` is so much
    before `ended`: the pause between the runs is no part of it.
    """
    stats: dict[str, Any] = {**computed_on(rt)}
    begun = Spent.now()
    yield stats
    spent = checkpointer.earlier.and_since(begun)
    seconds = timedelta(seconds=round(spent.wall, 3))
    ended = datetime.now(UTC)
    stats["seconds"] = seconds.total_seconds()
    stats["cpu_seconds"] = round(spent.cpu, 3)
    stats["started"] = (ended - seconds).isoformat(timespec="milliseconds")
    stats["ended"] = ended.isoformat(timespec="milliseconds")
    stats["peak_memory_mb"] = round(_peak_memory(rt) / 2**20, 1)
    if (history := checkpointer.history()) is not None:
        checkpoints.write_atomically(folder / "history.csv", history)
    write_json(folder / "stats.json", stats)


def _peak_memory(rt: Runtime) -> float:
    """Bytes: of the device on CUDA, of the process elsewhere."""
    if rt.device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(rt.device))
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, kB on Linux
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
