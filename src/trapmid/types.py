"""The nouns of the study: what a target, a defence, a prior and an attack are.

Images are float32 NCHW in [0, 1] at every boundary; a network normalises inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from trapmid.runtime import Runtime, eval_mode

Log = Callable[[Mapping[str, float], int], None]
"""Takes (metrics, step). The library logs through it and knows no tracker."""


class Output(NamedTuple):
    """What a classifier returns."""

    logits: Tensor  # (N, C), never probabilities
    features: Tensor  # (N, F), what the head sees: penultimate, before any sampled noise
    hidden: tuple[Tensor, ...] = ()  # shallow to deep; BiDO reads these


class Embedding(NamedTuple):
    """What the trunk of a classifier makes of images, before its head."""

    vector: Tensor  # (N, D)
    hidden: tuple[Tensor, ...]  # one flat tensor per stage, shallow to deep


class Target(nn.Module, ABC):
    """A classifier of images in [0, 1]; every normalisation and resizing happens inside."""

    num_classes: int
    embedding_dim: int  # D of `embed`
    head: tuple[str, ...] = ()  # the submodules behind `embed`, which a bottleneck replaces
    stochastic: bool = False  # whether two forwards of one image in eval mode differ
    torchvision_weights: tuple[str, ...] = ()  # names of ImageNet weights that `start_from` takes

    @abstractmethod
    def forward(self, images: Tensor) -> Output: ...

    def votes(self, images: Tensor) -> tuple[Tensor, ...]:
        """The logits (N, C) of every member of an ensemble; of any other network, its own."""
        return (self(images).logits,)

    def embed(self, images: Tensor) -> Embedding:
        """The trunk alone: what the head would see of images (N, 3, S, S).

        Raises:
            ValueError: the architecture has no such boundary.
        """
        raise ValueError(f"arch: {type(self).__module__} has no trunk apart from its head")

    def stages(self) -> tuple[nn.Module, ...]:
        """The parts of the trunk, shallow to deep, one per `hidden` tensor.

        A part with skip connections holds modules with a method `weaken(scale)`.

        Raises:
            ValueError: the architecture has no such parts.
        """
        raise ValueError(f"arch: {type(self).__module__} has no stages")

    def through_stages(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the last stage makes of images, and what every stage does, flat: (N, D) each."""
        x, hidden = images, []
        for stage in self.stages():
            x = stage(x)
            hidden.append(x.flatten(1))
        return x, tuple(hidden)

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes the trunk of another network of this class, or of published weights.

        Raises:
            RuntimeError: a weight is missing or has another shape.
        """
        self.take_trunk(state)

    def take_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Takes every weight of `state` but the head's, strictly.

        Raises:
            RuntimeError: a weight of the trunk is missing, unknown, or of another shape.
        """
        head = tuple(f"{name}." for name in self.head)
        own = {name: value for name, value in self.state_dict().items() if name.startswith(head)}
        trunk = {name: value for name, value in state.items() if not name.startswith(head)}
        self.load_state_dict(trunk | own, strict=True)


class Prior(nn.Module, ABC):
    """What an attacker knows about faces: a generator and, often, its critic."""

    latent_dim: int
    num_classes: int  # 1 for an unconditional prior

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images (N, 3, S, S) of the generator's own range, from latents (N, Z), labels (N,)."""

    @abstractmethod
    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        """The critic's score (N,); zeros for a prior without a critic."""

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes the weights of an earlier prior of the same shape.

        Class embeddings of a one-class prior are repeated for every class, so a conditional prior
        may start from a public one: at first it draws the same images for each class.

        Raises:
            ValueError: the weights do not fit.
        """
        own = self.state_dict()
        try:
            self.load_state_dict({k: _fitted(v, own.get(k)) for k, v in state.items()}, strict=True)
        except RuntimeError as error:
            raise ValueError(f"init: {' '.join(str(error).split())}") from None


def _fitted(value: Tensor, wanted: Tensor | None) -> Tensor:
    """Half precision widened; a single row repeated to the number of rows wanted."""
    if value.is_floating_point():
        value = value.to(torch.float32)
    if wanted is not None and value.dim() == wanted.dim() > 0 and len(value) == 1:
        value = value.expand(len(wanted), *value.shape[1:])
    return value


class Progress(NamedTuple):
    """How far a training is."""

    epoch: int  # 0-based
    epochs: int
    step: int  # 0-based, inside the epoch
    steps: int  # per epoch


class Loss(NamedTuple):
    total: Tensor
    parts: dict[str, Tensor]  # detached scalars, for the training curves


class Trapdoor(nn.Module, ABC):
    """Triggers, one per class, and how an image gets one; `trapdoors` makes them.

    What only passes a trapdoor on knows no more of it, so that its code reaches trapdoored rows.
    """

    triggers: Tensor  # k, (C, 3, S, S) in [0, 1]
    alpha: Tensor  # blend ratio in [0, 1]
    masks: Tensor | None  # m, (C, 1, S, S) in [0, 1]; None: 1 everywhere

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Poisoned images (N, 3, S, S) that carry the triggers of `labels` (N,)."""

    @abstractmethod
    def blend(self, images: Tensor, keys: Tensor, labels: Tensor) -> Tensor:
        """As `forward`, with the triggers `keys` (N, 3, S, S) instead of the stored ones."""

    @abstractmethod
    def examples(self, images: Tensor, strength: float = 10.0) -> Tensor:
        """Images (N, 3, S, S) with the triggers of classes 0..N-1, `strength` times stronger."""


class Objective(nn.Module, ABC):
    """A training loss with a memory: triggers, critics and their optimisers live here.

    `optimizers` lists the optimisers that the objective steps itself, so that the loop can apply
    the learning-rate schedule to them and save their state.
    """

    trapdoor: Trapdoor | None

    def __init__(self) -> None:
        super().__init__()
        self.trapdoor = None

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return ()

    def prepare(self, model: Target, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Called once before training; the optimiser that the loop shall step."""
        del model
        return optimizer

    def batches(self, labels: Tensor, batch_size: int) -> list[Tensor]:
        """One epoch: indices (B,) int64 into the training set, drawn from torch's global stream.

        Every image at most once, in random order; the last, partial batch is dropped.
        """
        size = min(batch_size, len(labels))
        order = torch.randperm(len(labels))
        return list(order[: len(labels) // size * size].split(size))

    def facts(self) -> dict[str, float]:
        """What the training so far guarantees, e.g. a privacy budget; kept with the weights."""
        return {}

    @abstractmethod
    def forward(
        self, model: Target, images: Tensor, labels: Tensor, progress: Progress
    ) -> Loss: ...


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a defence may know about the training it joins."""

    image_shape: tuple[int, int, int]
    num_classes: int
    new_network: Callable[[int], Target]  # the target's architecture and start, so many outputs
    new_optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    rt: Runtime


class Defense(Protocol):
    """A frozen dataclass whose fields are its block of params.yaml."""

    alters_network: ClassVar[bool] = False
    """Whether a saved network must be hardened again before its weights fit."""

    def harden(self, model: Target) -> Target:
        """The network to train instead of `model`; itself where the defence leaves it alone."""
        return model

    def objective(self, setting: Setting) -> Objective: ...


class Knowledge(NamedTuple):
    """What an attacker knows of one target when the search begins, beside network and prior.

    Every part is None unless a row of params.yaml names a file that has it.
    """

    students: Target | None = None  # distilled from the target on public images (LOMMA)
    feature_mean: Tensor | None = None  # (F,) of the target's features of public images (LOMMA)
    signatures: Tensor | None = None  # (C, F) S, the trapdoor's, leaked by the defender (eq. 6)
    auxiliary: Tensor | None = None  # (C, F) S', of the public images likest to a class (eq. 8)

    def need(self, *names: str) -> None:
        """Refuses to go on without the parts called `names`.

        Raises:
            ValueError: one of them is None.
        """
        if missing := [name for name in names if getattr(self, name) is None]:
            raise ValueError(f"knowledge: the method needs {', '.join(missing)}; name a file of it")


NOTHING = Knowledge()


class PriorRecipe(Protocol):
    """A frozen dataclass whose fields are its block of params.yaml; how faces are learnt."""

    def make(self, image_size: int, num_classes: int) -> Prior: ...

    def fit(
        self,
        prior: Prior,
        public: Tensor,
        target: Target | None,
        knowledge: Knowledge,
        rt: Runtime,
        keep: Keep,
    ) -> None:
        """Trains `prior` in place on `public` (N, 3, S, S) uint8; `target` guides it if given."""
        ...


class Surrogate(Protocol):
    """A frozen dataclass whose fields are its block: how a classifier learns to be the target's.

    An attacker trains it on public images alone and then asks it instead of the target.
    """

    stolen: ClassVar[bool] = False
    """Whether it starts as a copy of the target, weights and all, and not as a new network."""

    def fit(
        self, student: Target, teacher: Target, public: Tensor, rt: Runtime, keep: Keep
    ) -> Mapping[str, Tensor]:
        """Trains `student` in place on `public` (N, 3, S, S) uint8; leaves it in eval mode.

        Returns:
            Further fields of `Knowledge` to keep with the weights, e.g. `feature_mean`.
        """
        ...


class Stateful(Protocol):
    """Anything whose state can be saved and put back: modules, optimisers, our own."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class Keep(Protocol):
    """Where a long training leaves its curve and its state."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One point of the training curve."""
        ...

    def progress(self, done: int, total: int) -> None:
        """Moves the progress bar."""
        ...

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        """Puts the newest saved state back; returns the step to go on from (0: there is none)."""
        ...

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        """Saves the state after `step` steps."""
        ...


class Saving(NamedTuple):
    """Where a long search leaves its state, and how often."""

    keep: Keep
    every: int  # steps

    def due(self, step: int, steps: int) -> bool:
        """Whether the state is to be saved after `step` of `steps` steps."""
        return step % self.every == 0 and step < steps


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an attack is asked for, and what it may use."""

    labels: Tensor  # (N,) int64, the class of every image asked for
    draws: Tensor  # (N,) int64, tells the images of one class apart
    knowledge: Knowledge = NOTHING
    saving: Saving | None = None  # None: a search that is cut off starts again


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


class Attack(Protocol):
    """A frozen dataclass whose fields are its block of params.yaml."""

    label_only: ClassVar[bool] = False
    """Whether it is a `LabelAttack` and gets the target as `LabelsOnly`."""

    def images_of_each(self, asked: int) -> int:
        """How many images of every class it makes where the study asks for `asked`."""
        return asked

    def rows_in_memory(self) -> float:
        """How many images per row of a task pass the target at once; bounds the batch size."""
        return 1.0

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """Recovers an image of class task.labels[i] for every i.

        A row's result depends on (rt.seed, label, draw) alone, never on the other rows.
        """
        ...


class LabelsOnly:
    """A target that tells the most probable class of an image and nothing else, and counts.

    Args:
        target: on its device; asked in eval mode, without gradients.
    """

    def __init__(self, target: Target) -> None:
        self.num_classes = target.num_classes
        self.queries = 0  # images asked about
        self.__target = target

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """The classes (N,) int64 of images (N, 3, S, S)."""
        self.queries += len(images)
        with eval_mode(self.__target):
            labels: Tensor = self.__target(images).logits.argmax(dim=1)
        return labels


class LabelAttack(Protocol):
    """An `Attack` that sees labels alone."""

    label_only: ClassVar[bool] = True

    def images_of_each(self, asked: int) -> int:
        """As `Attack.images_of_each`."""
        return asked

    def rows_in_memory(self) -> float:
        """As `Attack.rows_in_memory`."""
        return 1.0

    def invert(self, target: LabelsOnly, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        """As `Attack.invert`."""
        ...
