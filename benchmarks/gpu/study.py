"""What is measured: the blocks of a profile, its sizes, and networks without training."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gpu.results import ROOT, Book
from trapmid import wiring
from trapmid.artifacts import priors
from trapmid.config import params
from trapmid.config.study import ClassifierTraining
from trapmid.profiles.compose import compose, every_block
from trapmid.profiles.sections import BLOCKS
from trapmid.runtime import Runtime, stream_seed
from trapmid.training.classifier import Splits
from trapmid.training.fit import Labelled
from trapmid.types import Defense, Prior, Target


class Sizes(NamedTuple):
    """How much of everything."""

    profile: str
    classes: int
    image_size: int
    private: int  # training images
    public: int
    reconstructed: int
    steps: int  # of a search, and of GMI's and KED-MI's priors; twice as many of PLG-MI's
    seconds: float  # most of one timed run, then it is cut and extrapolated
    small: dict[str, int]  # what a toy run changes of the blocks of trainings
    narrow: dict[str, int]  # and of priors alone
    of: str = ""  # what rows of `targets` have between the defence and the seed


PAPER = Sizes("paper_attacks", 1000, 64, 27000, 30000, 5000, 50, 12.0, {}, {})
TOY = Sizes("attacks", 8, 32, 48, 96, 24, 2, 0.2, {"batch_size": 8}, {"width": 8})

PRECISIONS = {
    # name -> (of the Runtime, TF32 in matrix products, TF32 in convolutions)
    "fp32": ("fp32", False, False),
    "default": ("fp32", False, True),  # what torch does unasked, so what a study runs
    "tf32": ("fp32", True, True),
    "bf16": ("bf16", False, True),
}


@contextmanager
def numerics(name: str) -> Iterator[str]:
    """TF32 as the precision called `name` has it; gives the precision of the Runtime."""
    precision, matrices, convolutions = PRECISIONS[name]
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = matrices
    torch.backends.cudnn.allow_tf32 = convolutions
    try:
        yield precision
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@dataclass(frozen=True)
class World:
    """One run: where it computes, what it measures, where results go."""

    book: Book
    chosen: Sizes | None = None  # other sizes than the paper's, or the toy's

    @property
    def device(self) -> torch.device:
        return self.book.device

    @property
    def sizes(self) -> Sizes:
        return self.chosen or (TOY if self.book.toy else PAPER)

    def runtime(self, precision: str = "fp32", device: torch.device | None = None) -> Runtime:
        return Runtime(device=device or self.device, seed=0, precision=precision)

    @functools.cached_property
    def study(self) -> dict[str, Any]:
        """params.yaml of the profile with every block; composed once, since that takes seconds."""
        file = self.book.kept / f"study-{self.sizes.profile}.txt"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(_with_every_block(self.sizes.profile)), encoding="utf-8")
        study: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return study

    def plan(self, **changes: Any) -> ClassifierTraining:
        """How the profile trains Trap-MID's target, but for `changes`."""
        block = params.section(
            self.study, f"classifier_training.{self._row('trapmid')['training']}"
        )
        # The last epoch, for there is no validation split; without milestones, as epochs are few.
        changed = {"select": "last", "milestones": [], **self.sizes.small, **changes}
        return params.build(ClassifierTraining, block | changed, "classifier_training")

    def defense(self, name: str) -> Defense:
        row = self._row(name)
        return wiring.defense(row["method"], self.study[row["block"]], row["block"])

    def new_network(self, outputs: int) -> Target:
        """The target's network."""
        arch = wiring.target(self._row("trapmid")["arch"])
        return arch(outputs, self.sizes.image_size)

    def network(self, arch: str, rt: Runtime) -> Target:
        """A network of the name `arch` with random weights, ready to be asked."""
        with rt.seeded("benchmark", arch):
            network = wiring.target(arch)(self.sizes.classes, self.sizes.image_size)
        return rt.place(network).eval().requires_grad_(False)

    def target(self, rt: Runtime) -> Target:
        return self.network(self._row("none")["arch"], rt)

    def students(self, rt: Runtime) -> Target:
        """LOMMA's three."""
        row = next(r for name, r in self.study["surrogates"].items() if name.startswith("students"))
        return self.network(row["arch"], rt)

    def prior_block(self, method: str) -> dict[str, Any]:
        """How the profile trains a prior."""
        return self.study["prior_training"][method] | self.sizes.small | self.sizes.narrow

    def prior(self, method: str, rt: Runtime) -> Prior:
        """A prior with random weights, of the target's classes where it knows any."""
        training = wiring.prior_training(method, self.prior_block(method))
        classes = 1 if method == "gmi" else self.sizes.classes
        start = priors.start(training, self.sizes.image_size, classes, ROOT / "weights/random", rt)
        return start.eval()

    def splits(self, count: int, device: torch.device | None = None) -> Splits:
        """So many training images of all classes on the device, and a batch of test images."""
        device = device or self.device
        labels = torch.arange(count) % self.sizes.classes
        train = Labelled(self.images(count, device), labels.to(device))
        test = Labelled(train.images[:64], train.labels[:64])
        return Splits(train, Labelled(test.images[:0], test.labels[:0]), test, self.sizes.classes)

    def images(self, count: int, device: torch.device) -> Tensor:
        """Random images (count, 3, S, S) uint8; the same on every device."""
        return _random_images(count, self.sizes.image_size, device)

    def _row(self, defense: str) -> dict[str, Any]:
        row: dict[str, Any] = self.study["targets"][f"{defense}{self.sizes.of}-0"]
        return row


@functools.lru_cache(maxsize=4)
def _random_images(count: int, size: int, device: torch.device) -> Tensor:
    """Drawn once in a process: a third of a billion bytes take seconds."""
    generator = torch.Generator().manual_seed(stream_seed(0, "images"))
    shape = (count, 3, size, size)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator).to(device)


def _with_every_block(profile: str) -> dict[str, Any]:
    """params.yaml of a profile, with the blocks that none of its rows uses: all are timed."""
    made, whole = (
        params.parse(text(profile, folder=ROOT / "profiles")) for text in (compose, every_block)
    )
    blocks = {section: {**whole[section], **made[section]} for section in BLOCKS}
    return {**whole, **made, **blocks}
