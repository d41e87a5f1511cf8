"""Throughputs of a GPU, from a file of results that `benchmarks/on_gpu.sh` wrote.

Measured were VGG16 at 64 pixels with 1,000 people, the paper's priors and its searches. What has
another size counts in proportion to its operations, which are those of the networks' forward
passes; a defence whose training was not timed counts as none, and one with a search for triggers as
Trap-MID. A search that asks about more views or neighbours of an image than was measured counts
as so many times as long, a little too much: its generator works once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from trapmid import wiring
from trapmid.planning.measure import Cost, is_buildable
from trapmid.planning.units import Unit

ARCH, CLASSES, SIZE, BATCH, WIDTH = "vgg16", 1000, 64, 64, 64  # as measured
_EPOCH = 27_000  # images
_OF_NONE = 3.0  # forward passes in a step without a defence
_ASKED = {"gmi": 1.0, "kedmi": 1.0, "plgmi": 2.0, "lomma": 4.0}
"""Images of each row that pass the target at once, as measured; of LOMMA with the students."""


class Card:
    """Seconds of what was measured on one card.

    Args:
        rows: of the file of results.

    Raises:
        ValueError: the file has no such rows.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = {one["name"]: one for one in rows if isinstance(one, Mapping)}
        self.device = str(self._row("training/default: none: epoch")["device"])

    @classmethod
    def read(cls, file: Path) -> Card:
        """The card of a file.

        Raises:
            ValueError: it is no file of results.
            OSError: it cannot be read.
        """
        try:
            return cls(json.loads(file.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            what = "no file of results of benchmarks/on_gpu.sh"
            raise ValueError(f"{file}: {what} ({error})") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file}: {error}") from None

    def _row(self, name: str) -> Mapping[str, Any]:
        """ValueError: there is none, as in a file of some of the measurements."""
        if name not in self._rows:
            raise ValueError(f"no row {name!r}; benchmarks/on_gpu.sh makes it")
        return self._rows[name]

    def _of(self, name: str) -> float:
        return float(self._row(name)["value"])

    def epoch(self, *, planted: bool) -> float:
        """Seconds of one epoch of VGG16 on 27,000 images."""
        return self._of(f"training/default: {'trapmid' if planted else 'none'}: epoch")

    def iteration(self, prior: str) -> float:
        """Seconds of one iteration of a prior's training at the paper's size."""
        return self._of(f"priors/{prior}: iteration")

    def of_image(self, attack: str) -> float:
        """Seconds of one step of the search for one image of a full batch."""
        step = self._rows[f"searches/{attack}: step"]
        return float(step["value"]) / float(step["batch_size"])

    def start(self) -> float:
        """A stage begins as fast as on any machine: some seconds, which count for nothing here."""
        return 0.0

    def drawing(self) -> float:
        """Likewise."""
        return 0.0

    def cost(self, unit: Unit) -> Cost | None:
        """Seconds of a unit; its memory was measured for VGG16 alone."""
        seconds = self._seconds(unit)
        return None if seconds is None else Cost(seconds, self._megabytes(unit))

    def _seconds(self, unit: Unit) -> float | None:
        if not is_countable(unit.arch, unit.classes, unit.image_size):
            return None
        measured = flops(ARCH, CLASSES, SIZE)
        if unit.kind in ("train", "imitate", "ask"):
            searched = '"until": 1.0' in unit.block and '"optimized": false' not in unit.block
            planted = '"until": ' in unit.block  # images with triggers double those of a step
            image = self.epoch(planted=searched) * (1 + (planted and not searched)) / _EPOCH
            scale = flops(unit.arch, unit.classes, unit.image_size) / measured
            return image * scale * (unit.batch if unit.kind != "ask" else 1 / _OF_NONE)
        if unit.kind in ("query", "judge", "learn"):
            return None
        block = json.loads(unit.block)
        if unit.kind == "prior":
            if f"priors/{unit.method}: iteration" not in self._rows:
                return None
            scale = (unit.image_size / SIZE) ** 2 * (float(block["width"]) / WIDTH) ** 2
            return self.iteration(unit.method) * scale * unit.batch / BATCH
        name = f"lomma_{unit.prior}" if unit.method == "lomma" else unit.method
        if f"searches/{name}: step" not in self._rows:
            return None
        scale = flops(unit.arch, unit.classes, unit.image_size) / measured
        asked = wiring.attack(unit.method, block).rows_in_memory() / _ASKED[unit.method]
        return self.of_image(name) * scale * asked

    def _megabytes(self, unit: Unit) -> float:
        if unit.kind != "train" or unit.arch != ARCH:
            return 0.0
        planted = '"until": 1.0' in unit.block
        return self._of(f"training/default: {'trapmid' if planted else 'none'}: peak memory")


def is_countable(arch: str, classes: int, size: int) -> bool:
    """Whether the network's operations are torch's; those of dlib's recogniser are not."""
    if not is_buildable(arch, classes, size):
        return False
    return not arch or getattr(wiring.target(arch), "differentiable", True)


@functools.cache
def flops(arch: str, classes: int, size: int) -> float:
    """Of one forward pass of one image; counted without computing it."""
    with torch.device("meta"):
        network = wiring.target(arch)(classes, size).eval()
        images = torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    return float(counter.get_total_flops())
