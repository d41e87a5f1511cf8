"""What an attacker has: a prior of faces, side information of a target, a surrogate of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from trapmid.runtime import Runtime
from trapmid.types.classifier import Target
from trapmid.types.training import Checkpointer


class Prior(nn.Module, ABC):
    """What an attacker knows about faces: a generator and, often, its critic."""

    latent_dim: int  # Z
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


class StylePrior(Prior):
    """A prior with a second space of latents: style codes, one for each of its layers.

    The image of a latent is `paint_clipped(styles(latents, 1, None))`; labels are ignored. So what
    searches latents meets pixels in [0, 1] alone, as with every prior that ends in a sigmoid; what
    searches style codes says by itself where it clips.
    """

    num_styles: int  # L
    style_dim: int  # W
    favourites: int  # K, of its latents that a target preferred for each class; 0: none was asked

    @abstractmethod
    def styles(self, latents: Tensor, psi: float, cutoff: int | None) -> Tensor:
        """Style codes (N, L, W) of latents (N, Z).

        The first `cutoff` layers (None: all) are drawn to the mean code: mean + psi (w - mean).
        """

    @abstractmethod
    def candidates(self, labels: Tensor, ranks: Tensor) -> Tensor:
        """Style codes (N, L, W) that a search of `labels` (N,) may begin with.

        Args:
            ranks: (N,) int64, which of the target's favourites, 0 .. K - 1; the best is 0.
        """

    @abstractmethod
    def paint(self, styles: Tensor) -> Tensor:
        """Images (N, 3, S, S) of style codes (N, L, W)."""

    def paint_clipped(self, styles: Tensor) -> Tensor:
        """As `paint`, with the pixels cut to [0, 1] as they are made.

        A prior that shows its images at another size cuts them before it does.
        """
        return self.paint(styles).clamp(0, 1)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        del labels
        return self.paint_clipped(self.styles(latents, 1.0, None))


class Features(NamedTuple):
    """What one block of a generator hands to the next."""

    maps: Tensor  # (N, C, r, r); from the last block of one that does not paint: the image
    painted: Tensor | None = None  # (N, 3, r, r), by a generator whose blocks paint as they go


class BlockPrior(Prior):
    """A prior whose generator is a sequence of blocks: what one hands to the next can be searched.

    An image is `shown(through(0, num_blocks, None, codes(latents), labels))`, what `forward` gives;
    where that clips pixels to [0, 1], `shown` need not.
    """

    num_blocks: int  # B

    @abstractmethod
    def codes(self, latents: Tensor) -> Tensor:
        """What drives the blocks, (N, W), of latents (N, Z)."""

    @abstractmethod
    def block(
        self, number: int, before: Features | None, codes: Tensor, labels: Tensor
    ) -> Features:
        """What block `number` makes of what the one before it made (None: it is the first).

        Args:
            codes: (N, W); not every block needs them.
            labels: (N,) int64; a prior without classes ignores them.
        """

    @abstractmethod
    def shown(self, last: Features) -> Tensor:
        """The images (N, 3, S, S) of what the last block made."""

    def through(
        self, first: int, last: int, before: Features | None, codes: Tensor, labels: Tensor
    ) -> Features:
        """What the blocks from `first` on make, `last` not included."""
        made = before
        for number in range(first, last):
            made = self.block(number, made, codes, labels)
        assert made is not None
        return made


def _fitted(value: Tensor, wanted: Tensor | None) -> Tensor:
    """Half precision widened; a single row repeated to the number of rows wanted."""
    if value.is_floating_point():
        value = value.to(torch.float32)
    if wanted is not None and value.dim() == wanted.dim() > 0 and len(value) == 1:
        value = value.expand(len(wanted), *value.shape[1:])
    return value


class SideInformation(NamedTuple):
    """What an attacker knows of one target when the search begins, beside network and prior.

    Every part is None unless a row of params.yaml names a file that has it.
    """

    students: Target | None = None  # distilled from the target on public images (LOMMA)
    feature_mean: Tensor | None = None  # (F,) of the target's features of public images (LOMMA)
    signatures: Tensor | None = None  # (C, F) S, the trapdoor's, leaked by the defender (eq. 6)
    auxiliary: Tensor | None = None  # (C, F) S', of a class's likeliest public images (eq. 8)

    def need(self, *names: str) -> None:
        """Refuses to go on without the parts called `names`.

        Raises:
            ValueError: one of them is None.
        """
        if missing := [name for name in names if getattr(self, name) is None]:
            raise ValueError(
                f"side_information: the method needs {', '.join(missing)}; name a file of it"
            )


NOTHING = SideInformation()


class PriorTraining(Protocol):
    """A frozen dataclass whose fields are its block of params.yaml; how faces are learnt."""

    def make(self, image_size: int, num_classes: int) -> Prior:
        """A new prior of images (3, S, S) with S = `image_size`; one class: unconditional."""
        ...

    def fit(
        self,
        prior: Prior,
        public: Tensor,
        target: Target | None,
        side_information: SideInformation,
        rt: Runtime,
        checkpointer: Checkpointer,
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
        self,
        student: Target,
        teacher: Target,
        public: Tensor,
        rt: Runtime,
        checkpointer: Checkpointer,
    ) -> Mapping[str, Tensor]:
        """Trains `student` in place on `public` (N, 3, S, S) uint8; leaves it in eval mode.

        Returns:
            Further fields of `SideInformation` to keep with the weights, e.g. `feature_mean`.
        """
        ...
