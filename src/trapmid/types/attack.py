"""What an attack is: the task it gets, and the reconstructions it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from torch import Tensor

from trapmid.runtime import Runtime
from trapmid.types.attacker import NOTHING, Prior, SideInformation
from trapmid.types.classifier import LabelsOnly, Target
from trapmid.types.training import UNSAVED, Saving


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an attack is asked for, and what it may use."""

    labels: Tensor  # (N,) int64, the class of every image asked for
    draws: Tensor  # (N,) int64, tells the images of one class apart
    side_information: SideInformation = NOTHING
    saving: Saving = UNSAVED


@dataclass(frozen=True)
class Reconstruction:
    """One row per image asked for."""

    images: Tensor  # (N, 3, S, S) float32, the generator's raw output
    labels: Tensor  # (N,) int64, the class attacked
    draws: Tensor  # (N,) int64, 0 .. images_per_class - 1
    latents: Tensor  # (N, Z) float32
    losses: Tensor  # (N,) float32, the search objective at the last iterate
    found: Tensor | None = None  # (N,) bool; False: the attack has no answer, which is a miss
    left_out: Tensor | None = None  # (N,) bool; True: not attempted by design, and not scored
    counts: Mapping[str, Tensor] = field(default_factory=dict)  # (N,) each, e.g. queries


@dataclass(frozen=True, kw_only=True)
class PaperScoring:
    """How the code behind the papers' tables scores an attack's images, as far as attacks differ.

    Numbers made in this way are comparable with published ones of the same attack, but not from
    attack to attack: those that all attacks share are the standard ones (`scoring/recognition.py`).
    """

    batch: int  # identities per attack batch, whose accuracies make the deviation within a run
    deviation: Literal["root_of_mean_variance", "mean_of_deviations"]  # over batches
    aa5: Literal["all_draws", "last_draw"]
    accuracy: Literal["eight_bit", "floats"]
    """What the evaluator recognises: 8-bit images that PIL enlarged, or the generator's floats,
    enlarged with the corners in place."""
    distances: Literal["files", "raw"] | None
    """What KNN, Frechet distance and signature see: the image as its min-max stretched PNG file has
    it, or the generator's. None: the code computes none of them."""
    frechet_batch: int | None  # a last batch with fewer images is dropped; None: all images count


class Attack(Protocol):
    """A frozen dataclass whose fields are its block of params.yaml."""

    label_only: ClassVar[bool] = False
    """Whether it is a `LabelAttack` and gets the target as `LabelsOnly`."""

    paper_scoring: ClassVar[PaperScoring | None] = None
    """How its released code scores it; None: there is none."""

    def images_of_each(self, asked: int) -> int:
        """How many images of every class it makes where the study asks for `asked`."""
        return asked

    def chosen(self, labels: Tensor, counts: Mapping[str, Tensor]) -> Tensor | None:
        """Which rows of some finished classes are kept, (M,) int64 sorted by label; None: all.

        A class is asked about once, with whichever others: what is kept of it depends on it alone.

        Args:
            labels: (N,) int64, of all rows of these classes.
            counts: of `Reconstruction`, of these rows.
        """
        return None

    def rows_in_memory(self) -> float:
        """How many images per row of a task pass the target at once; bounds the batch size."""
        return 1.0

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """Recovers an image of class task.labels[i] for every i.

        A row's result depends on (rt.seed, label, draw) alone, never on the other rows. A search of
        steps keeps its state by `task.saving`: cut off, it goes on to the same result bit for bit.
        """
        ...


class LabelAttack(Protocol):
    """An `Attack` that sees labels alone."""

    label_only: ClassVar[bool] = True
    """As `Attack.label_only`."""

    paper_scoring: ClassVar[PaperScoring | None] = None
    """As `Attack.paper_scoring`."""

    def images_of_each(self, asked: int) -> int:
        """As `Attack.images_of_each`."""
        return asked

    def chosen(self, labels: Tensor, counts: Mapping[str, Tensor]) -> Tensor | None:
        """As `Attack.chosen`."""
        return None

    def rows_in_memory(self) -> float:
        """As `Attack.rows_in_memory`."""
        return 1.0

    def queries(self, labels: Tensor, draws: Tensor, counts: Mapping[str, Tensor]) -> int:
        """How many images an attacker asks about to get all the rows of an attack.

        Made of the rows alone, so that it does not depend on how many were searched at once, nor on
        what memory made ask again. By default the sum of what the rows asked.

        Args:
            labels: (N,) int64, of all rows that were attempted.
            draws: (N,) int64, theirs.
            counts: theirs, of `Reconstruction`; `queries` is one of them.
        """
        return int(counts["queries"].sum())

    def invert(self, target: LabelsOnly, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """As `Attack.invert`."""
        ...
