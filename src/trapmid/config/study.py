"""The rows of params.yaml: what one run of every stage is made of.

A row names its seed and every file it reads, so that dvc.yaml can depend on exactly those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from trapmid.config.bounds import (
    Bound,
    Count,
    Milestones,
    Momentum,
    Natural,
    NonNegative,
    Positive,
    PositiveShare,
    Share,
    check_milestones,
)
from trapmid.runtime import Precision

# --- data ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RawRow:
    """A raw folder that this project can make by itself: `data/<maker>.py` and its options."""

    maker: str
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A folder on disk and the module of `trapmid.data` that knows its layout."""

    reader: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Files in the folders of a row's sources that say who goes where; see `data/lists.py`."""

    train: str  # lines "<file name> <label>", in the private folder; labels are 0 .. identities - 1
    test: str
    public: str | None = None  # lines "<file name>", in the public folder; null: drawn by the rule


Identities = Annotated[int, Bound(lambda n: n >= 2, "is under 2")]
MinImages = Annotated[int, Bound(lambda n: n >= 3, "is under 3")]
TestFraction = Annotated[float, Bound(lambda x: 0 < x < 0.5, "is outside (0, 0.5)")]
ValFraction = Annotated[float, Bound(lambda x: 0 <= x < 0.5, "is outside [0, 0.5)")]


@dataclass(frozen=True, kw_only=True)
class DataRow:
    """One prepared data set: who is private, who is public, and at which size."""

    private: Source
    public: Source
    image_size: Count
    identities: Identities  # how many private identities: the first ids, ascending, ...
    min_images: MinImages  # ... among those with at least so many images: train, val and test
    test_fraction: TestFraction  # ceil(fraction * n) images of every identity
    val_fraction: ValFraction  # likewise, of what the test split leaves; 0: no such split
    public_images: Count | None  # sampled without replacement; null: all there are
    public_max_images: Count | None  # only people with at most so many images; the paper: 29
    public_above: Natural | None  # only people with a larger identity number; the paper: 1000
    seed: Natural
    public_near_twins: Natural = 0  # so many private images may be public, too, saved again
    private_order: Literal["number", "images"] = "number"  # images: who has most comes first (PPA)
    lists: Lists | None = None  # instead of the rule: who is private, what is for test
    max_images: Count | None = None  # private are only people with at most so many images
    images_each: MinImages | None = None  # so many of a private person are drawn; nobody sees more
    test_split: Literal["stratified", "shuffled"] = "stratified"
    """Of each person's images, or of all images, whoever is in them (PPA); some have none then."""

    def __post_init__(self) -> None:
        if self.lists is not None and self.test_split == "shuffled":
            raise ValueError("test_split: shuffled, but lists say what is for test")
        if self.lists is not None and self.images_each is not None:
            raise ValueError(
                f"images_each: {self.images_each}, but lists say which images there are"
            )


Between = Annotated[
    tuple[Natural, Natural], Bound(lambda pair: pair[0] <= pair[1], "does not ascend")
]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Bounds of the data contract; `[low, high]` pairs are inclusive."""

    images_per_class: Between  # train + val + test of one private identity
    public_images: Between
    pixel_mean: tuple[Share, Share]  # mean of one image, in [0, 1]
    pixel_std: tuple[Share, Share]  # of one image over all pixels and channels
    max_dark_share: Share  # share of images that may fall outside the two pixel bounds


# --- classifiers --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """How a classifier is trained; without epochs it is taken as its file of weights gives it."""

    epochs: Natural  # 0: the whole network comes from the row's `init`, its head, too
    batch_size: Count
    optimizer: Literal["sgd", "adam"]
    lr: Positive
    momentum: Momentum  # sgd only
    weight_decay: NonNegative
    milestones: Milestones  # epochs at which the learning rate is multiplied by `decay`
    decay: PositiveShare
    flip: bool  # horizontal flips by the loader, probability 0.5, for every defence
    select: Literal["val", "test", "last"]  # which epoch is kept; the paper: best on test
    precision: Precision
    keep_every: Count  # epochs between two saved training states

    def __post_init__(self) -> None:
        check_milestones(self.milestones, self.epochs)
        if self.epochs == 0 and self.select != "last":
            raise ValueError(f"select: {self.select} needs epochs to choose from; with 0, last")


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """One trained classifier."""

    data: str
    arch: str  # module of trapmid.targets
    defense: str  # the name in tables: of the method, or of a variant of it
    method: str  # module of trapmid.defenses
    block: str  # top-level section of params.yaml with the method's parameters
    training: str  # entry of `classifier_training`
    init: str  # file with the initial weights; weights/random: none
    seed: Natural
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


@dataclass(frozen=True, kw_only=True)
class PretrainedRow(TargetRow):
    """A classifier of other people, or a network that learnt what a teacher says of their faces."""

    teacher: Literal["dlib"] | None = None  # whose embeddings it learns instead of names

    def __post_init__(self) -> None:
        if self.teacher is not None and self.method != "none":
            raise ValueError(f"method: {self.method} defends names; with a teacher, none")


# --- what an attacker learns --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PublicPriorRow:
    """A prior learnt from public images alone, shared by every attack that names it."""

    data: str
    method: str  # module of trapmid.priors, and entry of `prior_training`
    init: str
    seed: Natural
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


@dataclass(frozen=True, kw_only=True)
class SurrogateRow:
    """A classifier that an attacker trains on public images to ask it instead of the target."""

    data: str
    target: str  # whose answers it learns
    arch: str  # module of trapmid.targets; the target's own where the method copies the target
    surrogate: str  # the name in tables
    method: str  # module of trapmid.surrogates, and entry of `surrogate_training`
    init: str  # its first weights; a copy of the target has these already
    seed: Natural
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


@dataclass(frozen=True, kw_only=True)
class LeakRow:
    """Trapdoor signatures that a defender computes, and loses to an attacker."""

    data: str  # whose private training images carry the triggers
    target: str
    seed: Natural


@dataclass(frozen=True, kw_only=True)
class TriggerInversion:
    """How an attacker to whom no signature leaked finds triggers of their own."""

    blend: PositiveShare  # of a pattern in an image; the defender's own is not known
    steps: Count
    step_size: Positive  # of the first step, of pixels in [0, 1]; it shrinks to 0
    batch_size: Count  # public images of a step; the classes take turns


@dataclass(frozen=True, kw_only=True)
class SignatureRow:
    """What an attacker knows about the features of one target's classes."""

    data: str
    target: str
    leak: str  # file of the trapdoor's signatures; weights/none: they did not leak
    top_n: Count  # public images per class whose mean feature is its auxiliary signature
    seed: Natural
    inverted: TriggerInversion | None = None  # in the place of a leak; None: nobody guesses

    def __post_init__(self) -> None:
        if self.inverted is not None and Path(self.leak) != Path("weights/none"):
            raise ValueError(f"inverted: guesses what leaked ({self.leak}); leak: weights/none")


@dataclass(frozen=True, kw_only=True)
class GuidedPriorRow:
    """A prior learnt by asking one classifier."""

    data: str
    method: str  # module of trapmid.priors, and entry of `prior_training`
    target: str  # who is attacked
    queried_model: str  # folder of the classifier that is asked: the target, or a surrogate of it
    side_information: str  # file of `types.SideInformation`; weights/none: there is none
    init: str
    seed: Natural
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


# --- judges -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class JudgeTraining:
    """How a judge learns: `steps` batches of so many people."""

    steps: Count
    people: Count  # in a batch
    images_each: Count  # at most; of a person who has fewer, all
    nobodies: Natural  # images of nobody in a batch
    lr: Positive  # at most: it rises over a tenth of the steps and falls to 0 along a cosine
    weight_decay: NonNegative
    keep_every: Count  # steps between two saved training states


@dataclass(frozen=True, kw_only=True)
class TrainedJudgeRow:
    """A judge that learns from the public people of a data row."""

    data: str
    method: str  # module of trapmid.judges
    block: str  # place of the method's parameters: judge_training.<method>
    min_images: Count  # it learns from people with at least so many images
    truth: str  # table of what it is to read off an image; weights/none: the method reads nothing
    seed: Natural
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


@dataclass(frozen=True, kw_only=True)
class JudgeRow:
    """A judge of reconstructions beside the evaluators."""

    data: str  # whose private images it is measured on, and measures attacks by
    method: str  # module of trapmid.judges
    model: str  # its weights: shipped, or of `trained_judges`; weights/none: of a package
    truth: str  # table of everybody's parameters; weights/none: the method reads none
    seed: Natural


# --- attacks ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Inversion:
    """What every attack is asked for."""

    images_per_class: Count
    batch_size: Count | None  # rows at once; null: as memory allows; no result depends on it
    keep_every: Count  # steps between two saved states of a search


@dataclass(frozen=True, kw_only=True)
class AttackRunRow:
    """One attack run: a line of the results."""

    attack: str  # the name in tables: of the method, or of a variant of it
    method: str  # module of trapmid.attacks, and entry of `attacks`
    target: str  # who is attacked
    queried_model: str  # folder of whom the search asks: the target, or a surrogate of it
    side_information: str  # file of `types.SideInformation`; weights/none: there is none
    prior: str  # folder of the prior, e.g. models/priors/public/gmi
    evaluator: str
    verifier: str  # file of a judge that verifies; weights/none: there is none
    identity: str  # file of a judge that reads parameters; weights/none: there is none
    second_evaluator: str  # file of another evaluator, of another kind; weights/none: there is none
    data: str
    seed: Natural
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


ROWS: dict[str, type[Any]] = {
    "raw": RawRow,
    "data": DataRow,
    "evaluators": TargetRow,
    "pretrained": PretrainedRow,
    "targets": TargetRow,
    "public_priors": PublicPriorRow,
    "surrogates": SurrogateRow,
    "leaks": LeakRow,
    "signatures": SignatureRow,
    "guided_priors": GuidedPriorRow,
    "trained_judges": TrainedJudgeRow,
    "judges": JudgeRow,
    "attack_runs": AttackRunRow,
}
"""Every section of params.yaml that is made of rows: what one of its rows says."""
