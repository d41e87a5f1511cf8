"""A network with another head: what defences of the last layers have in common."""

from __future__ import annotations

from torch import Tensor, nn

from trapmid.types import Embedding, Target


class OnTrunk(Target):
    """The trunk of another network; a subclass says what comes behind it.

    Args:
        trunk: it loses its head.

    Raises:
        ValueError: the network has no head that could be taken off.
    """

    def __init__(self, trunk: Target) -> None:
        super().__init__()
        if not trunk.head:
            raise ValueError(f"arch: {type(trunk).__module__} has no trunk apart from its head")
        self.num_classes, self.embedding_dim = trunk.num_classes, trunk.embedding_dim
        for name in trunk.head:
            setattr(trunk, name, nn.Identity())
        self.trunk = trunk

    def embed(self, images: Tensor) -> Embedding:
        return self.trunk.embed(images)

    def stages(self) -> tuple[nn.Module, ...]:
        return self.trunk.stages()
