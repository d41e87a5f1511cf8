"""What the phases of the study of real people share: sizes, blocks, files, and told rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from gpu.faces import Faces
from gpu.lanes import Room
from gpu.results import Book, Row, row
from trapmid import wiring
from trapmid.metrics import accuracy
from trapmid.metrics.statistics.intervals import of_rate
from trapmid.runtime import Runtime, choose_precision
from trapmid.types import Target


class Sizes(NamedTuple):
    """What a few minutes change of the profile."""

    target: str
    evaluator: str
    epochs: int  # at most
    batch: int  # of classifiers
    width: int  # of PLG-MI's networks
    steps: int  # at most, of a prior or a search
    seldom: int  # who of the public people has fewer images is no class of the evaluator's start
    images: int  # reconstructed of each person


QUICK = Sizes("vgg16", "facenet64", 80, 128, 32, 6000, 3, 5)
TOY = Sizes("small_vgg", "small_ir", 2, 16, 8, 2, 2, 2)


@dataclass(frozen=True)
class Subjects:
    """One lane's view of the study."""

    book: Book
    room: Room
    study: dict[str, Any]  # the blocks of celeba_mid
    faces: Faces

    @property
    def sizes(self) -> Sizes:
        return TOY if self.book.toy else QUICK

    def runtime(self, precision: str = "fp32") -> Runtime:
        chosen = choose_precision(precision, self.book.device)
        return Runtime(device=self.book.device, seed=0, precision=chosen)

    def keep(self, name: str, module: nn.Module) -> None:
        self.room.save(name, {"state": module.state_dict()})

    def classifier(self, name: str, rt: Runtime) -> Target:
        """The evaluator or a target, ready to be asked."""
        arch = self.sizes.evaluator if name == "evaluator" else self.sizes.target
        model = wiring.target(arch)(self.faces.classes, self.faces.size)
        model.load_state_dict(self.room.load(name)["state"])
        return rt.place(model).eval().requires_grad_(False)


def rate(name: str, hit: Tensor, labels: Tensor, **more: Any) -> Row:
    """A share of images with its 95 % interval over people."""
    within = of_rate(hit, labels)
    interval = {"low": round(within.low, 6), "high": round(within.high, 6), "people": within.n}
    return row(name, accuracy.rate(hit), "share", images=len(hit), **interval, **more)
