"""Throughputs of this machine, measured when they are first needed and kept outside Git."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from trapmid.artifacts.checkpoints import write_atomically
from trapmid.data.drawing.images import CELEBA_SIZE, draw_all
from trapmid.planning import measure
from trapmid.planning.clock import Now
from trapmid.planning.measure import Cost
from trapmid.planning.units import Unit
from trapmid.runtime import bf16_is_native, onednn_level

_GAIN = 0.9  # of each of several threads
_WAY = 3  # of measuring; what was measured in another way is measured again
KEPT = Path(".scratch/throughputs.json")


class Throughputs(Protocol):
    """What units take, wherever the numbers are from."""

    def cost(self, unit: Unit) -> Cost | None:
        """None: nobody measured it."""
        ...

    def start(self) -> float:
        """Seconds until a stage begins its work."""
        ...

    def drawing(self) -> float:
        """Seconds of one drawn face: how fast a machine is at what is no network's work."""
        ...


class ThisMachine:
    """Measured here. What was measured before on the same machine, with the same torch, is read.

    Args:
        file: where it is kept.
        frozen: nothing is measured: what is not kept is not known.
        jobs: stages at a time of `trapmid run`; None: `dvc repro`, one after the other.
        threads: of each; None: as many as torch has now.

    Attributes:
        now: the clock that units are measured with.
    """

    def __init__(
        self,
        device: torch.device,
        file: Path,
        *,
        frozen: bool = False,
        jobs: int | None = None,
        threads: int | None = None,
    ) -> None:
        self._device, self._file, self._frozen = device, file, frozen
        self._forks = jobs is not None and sys.platform == "linux"
        self.now: Now = time.perf_counter
        self._me = identity(device, threads or torch.get_num_threads())
        if jobs is not None:
            self._me += f", `trapmid run` of {jobs}"
        content = _kept(file)
        self._known: dict[str, list[float]] = content.get(self._me, {})
        self._others = content

    def cost(self, unit: Unit) -> Cost | None:
        if not measure.is_measurable(unit):
            return None
        key = hashlib.sha256(f"{_WAY} {unit!r}".encode()).hexdigest()[:16]
        if key not in self._known and not self._frozen:
            what = " ".join(filter(None, (unit.kind, unit.method, unit.arch)))
            print(f"measuring: {what}, {unit.image_size} px", file=sys.stderr, flush=True)
            self._keep(key, measure.cost(unit, self._device, self.now))
        return Cost(*self._known[key]) if key in self._known else None

    def start(self) -> float:
        """0: not known. A fork has torch, and loads the rest as a new interpreter does."""
        return self._once("start", lambda: _imports(torch_is_there=self._forks))

    def drawing(self) -> float:
        """0: not known."""
        return self._once("drawing", _drawing)

    def _once(self, name: str, measured: Callable[[], float]) -> float:
        if name not in self._known:
            if self._frozen:
                return 0.0
            self._keep(name, Cost(measured(), 0.0))
        return self._known[name][0]

    def _keep(self, key: str, cost: Cost) -> None:
        self._known[key] = [float(f"{value:.4g}") for value in cost if value is not None]
        text = json.dumps({**self._others, self._me: self._known}, indent=1) + "\n"
        write_atomically(self._file, text.encode())


def _kept(file: Path) -> dict[str, dict[str, list[float]]]:
    """By machine; a file that is damaged holds nothing, since all of it can be measured again."""
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError:
        content = None
    if isinstance(content, dict):
        return content
    print(f"warning: {file}: is damaged; what it had is not known any more", file=sys.stderr)
    return {}


def beside_other_work() -> Now:
    """A clock for a busy machine: seconds of the processor, on one thread from now on.

    The time of as many threads as there were is guessed from it: two threads take 0.55 of one's.
    Threads that wait for each other beside other work spend several times what they compute.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gain = 1.0 if threads == 1 else _GAIN * threads
    return lambda: time.process_time() / gain


def identity(device: torch.device, threads: int) -> str:
    """What of a machine decides how fast it is."""
    bf16 = "bf16" if bf16_is_native(device) else "fp32"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {bf16}, torch {torch.__version__}"
    capability = torch.backends.cpu.get_cpu_capability()
    cores = os.cpu_count()
    what = f"{platform.processor() or platform.machine()}, {cores} cores, {threads} threads"
    return f"{what}, {capability}, {onednn_level()}, {bf16}, torch {torch.__version__}"


def _imports(*, torch_is_there: bool) -> float:
    """Processor seconds of importing what a stage does, in a process of its own."""
    before = "import torch; " if torch_is_there else ""
    command = f"{before}import time; begun = time.process_time() if {torch_is_there} else 0.0; "
    command += "import trapmid.artifacts.classifiers; print(time.process_time() - begun)"
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    # The first compiles and reads files
    return min(float(run([sys.executable, "-c", command]).stdout) for _ in range(2))


def _drawing() -> float:
    """Of 64 faces, drawn and written as `make_raw` does; eight before them load what it needs.

    By the processor's clock, which other work disturbs less: two threads draw.
    """
    gain = 2 * _GAIN if (os.cpu_count() or 1) > 1 else 1.0
    with tempfile.TemporaryDirectory() as folder:
        for count in (8, 64):
            pairs = [(1, image) for image in range(count)]
            paths = [Path(folder, f"{image}.jpg") for image in range(count)]
            begun = time.process_time()
            draw_all(pairs, paths, seed=0, domain="celeba", size=CELEBA_SIZE, quiet=True)
    return (time.process_time() - begun) / gain / count
