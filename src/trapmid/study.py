"""The rows of params.yaml: what one run of every stage is made of.

A row names its seed and every file it reads, so that dvc.yaml can depend on exactly those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

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
class DataRow:
    """One prepared data set: who is private, who is public, and at which size."""

    private: Source
    public: Source
    image_size: int
    identities: int  # how many private identities: the first ids, ascending, ...
    min_images: int  # ... among those with at least so many images
    test_fraction: float  # ceil(fraction * n) images of every identity
    val_fraction: float  # likewise, taken from what the test split leaves; 0: no such split
    public_images: int | None  # sampled without replacement; null: all there are
    public_max_images: int | None  # only people with at most so many images; the paper: 29
    public_above: int | None  # only people with a larger identity number; the paper: 1000
    seed: int

    def __post_init__(self) -> None:
        if self.image_size < 8:
            raise ValueError(f"image_size: {self.image_size} is under 8")
        if self.identities < 2:
            raise ValueError(f"identities: {self.identities} is under 2")
        if not 0 < self.test_fraction < 0.5:
            raise ValueError(f"test_fraction: {self.test_fraction} is outside (0, 0.5)")
        if not 0 <= self.val_fraction < 0.5:
            raise ValueError(f"val_fraction: {self.val_fraction} is outside [0, 0.5)")
        if self.min_images < 3:
            raise ValueError(f"min_images: {self.min_images} is under 3 (train, val and test)")
        for name in ("public_images", "public_max_images"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name}: {value} is under 1; null means no limit")


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Bounds of the data contract; `[low, high]` pairs are inclusive."""

    images_per_class: tuple[int, int]  # train + val + test of one private identity
    public_images: tuple[int, int]
    pixel_mean: tuple[float, float]  # mean of one image, in [0, 1]
    pixel_std: tuple[float, float]  # of one image over all pixels and channels
    max_dark_share: float  # share of images that may fall outside the two pixel bounds


# --- classifiers --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a classifier is trained."""

    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam"]
    lr: float
    momentum: float  # sgd only
    weight_decay: float
    milestones: tuple[int, ...]  # epochs at which the learning rate is multiplied by `decay`
    decay: float
    flip: bool  # horizontal flips by the loader, probability 0.5, for every defence
    select: Literal["val", "test", "last"]  # which epoch is kept; the paper: best on test
    precision: Precision
    keep_every: int  # epochs between two saved training states

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr", "keep_every"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: {getattr(self, name)} is not positive")


@dataclass(frozen=True, kw_only=True)
class TargetRow:
    """One trained classifier."""

    data: str
    arch: str  # module of trapmid.targets
    defense: str  # the name in tables: of the method, or of a variant of it
    method: str  # module of trapmid.defenses
    block: str  # top-level section of params.yaml with the method's parameters
    fit: str  # entry of `fits`
    init: str  # file with the initial weights; weights/random: none
    seed: int
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


# --- what an attacker learns --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PublicPriorRow:
    """A prior learnt from public images alone, shared by every attack that names it."""

    data: str
    method: str  # module of trapmid.priors, and entry of `recipes`
    init: str
    seed: int
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


@dataclass(frozen=True, kw_only=True)
class SurrogateRow:
    """A classifier that an attacker trains on public images to ask it instead of the target."""

    data: str
    target: str  # whose answers it learns
    arch: str  # module of trapmid.targets; the target's own where the method copies the target
    surrogate: str  # the name in tables
    method: str  # module of trapmid.surrogates, and entry of `surrogacy`
    init: str  # its first weights; a copy of the target has these already
    seed: int
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


@dataclass(frozen=True, kw_only=True)
class LeakRow:
    """Trapdoor signatures that a defender computes, and loses to an attacker."""

    data: str  # whose private training images carry the triggers
    target: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class SignatureRow:
    """What an attacker knows about the features of one target's classes."""

    data: str
    target: str
    leak: str  # file of the trapdoor's signatures; weights/none: they did not leak
    top_n: int  # public images per class whose mean feature is its auxiliary signature
    seed: int

    def __post_init__(self) -> None:
        if self.top_n < 1:
            raise ValueError(f"top_n: {self.top_n} is under 1")


@dataclass(frozen=True, kw_only=True)
class GuidedPriorRow:
    """A prior learnt by asking one classifier."""

    data: str
    method: str  # module of trapmid.priors, and entry of `recipes`
    target: str  # who is attacked
    guide: str  # folder of the classifier that is asked: the target, or a surrogate of it
    knowledge: str  # file of `types.Knowledge`; weights/none: there is none
    init: str
    seed: int
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


# --- attacks ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Inversion:
    """What every attack is asked for."""

    images_per_class: int
    batch_size: int | None  # rows searched at once; null: as memory allows; no result depends on it
    keep_every: int  # steps between two saved states of a search

    def __post_init__(self) -> None:
        for name in ("images_per_class", "keep_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is under 1")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size: {self.batch_size} is under 1; null means: as it fits")


@dataclass(frozen=True, kw_only=True)
class CellRow:
    """One cell of the results table."""

    attack: str  # the name in tables: of the method, or of a variant of it
    method: str  # module of trapmid.attacks, and entry of `attacks`
    target: str  # who is attacked
    guide: str  # folder of the classifier that the search asks: the target, or a surrogate of it
    knowledge: str  # file of `types.Knowledge`; weights/none: there is none
    prior: str  # folder of the prior, e.g. models/priors/public/gmi
    evaluator: str
    data: str
    seed: int
    set: dict[str, Any] = field(default_factory=dict)  # what differs from the method's block


ROWS: dict[str, type[Any]] = {
    "raw": RawRow,
    "data": DataRow,
    "evaluators": TargetRow,
    "starts": TargetRow,
    "targets": TargetRow,
    "public_priors": PublicPriorRow,
    "surrogates": SurrogateRow,
    "leaks": LeakRow,
    "signatures": SignatureRow,
    "guided_priors": GuidedPriorRow,
    "cells": CellRow,
}
"""Every section of params.yaml that is made of rows: what one of its rows says."""
