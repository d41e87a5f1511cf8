"""A search that goes through a generator layer by layer (IF-GMI; Qiu et al., ECCV 2024).

First the codes that drive a prior's blocks are searched; then the codes and the features that enter
block 1; then the codes and those that enter block 2. Each layer begins where the one before it
ended, with a new Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trapmid.search.latents import Variables, check_finite
from trapmid.types import UNSAVED, BlockPrior, Features, Saving, Stateful

PixelLoss = Callable[[Tensor, int], Tensor]
"""(images (N, 3, S, S), iteration) -> losses (N,)."""


class Layers:
    """The variables of every layer of a search, kept to the end.

    Args:
        prior: frozen, in eval mode.
        labels: (N,) int64.
        codes: (N, W), where layer 0 begins.
        radii: of the layers 1, 2, ...: how far in l1 features may go from where they began.
    """

    @torch.no_grad()
    def __init__(
        self, prior: BlockPrior, labels: Tensor, codes: Tensor, radii: Sequence[float]
    ) -> None:
        self._prior, self._labels, self._radii = prior, labels, radii
        tensors, made = {"codes0": codes.detach().clone()}, None
        for layer in range(1, len(self)):
            made = prior.block(layer - 1, made, codes, labels)
            tensors |= {f"codes{layer}": codes.clone(), f"maps{layer}": made.maps.clone()}
            tensors[f"start{layer}"] = made.maps.clone()
            if made.painted is not None:
                tensors[f"painted{layer}"] = made.painted.clone()
        self._state = Variables(**tensors)
        # They share the state's memory.
        self._leaves = {
            name: tensor.detach().requires_grad_(True)
            for name, tensor in tensors.items()
            if name.startswith(("codes", "maps"))
        }

    def __len__(self) -> int:
        """How many layers there are, that of the codes alone included."""
        return 1 + len(self._radii)

    def codes(self, layer: int) -> Tensor:
        """The codes (N, W) of one layer."""
        return self._leaves[f"codes{layer}"]

    def images(self, layer: int) -> Tensor:
        """The images (N, 3, S, S) of one layer's variables."""
        prior, features = self._prior, self._features(layer)
        last = prior.through(layer, prior.num_blocks, features, self.codes(layer), self._labels)
        return prior.shown(last)

    def adam(
        self,
        loss: PixelLoss,
        *,
        steps: Sequence[int],
        lr: float,
        betas: tuple[float, float],
        reference_batch: int,
        saving: Saving = UNSAVED,
    ) -> None:
        """Moves the variables of one layer after another along sum(loss) / reference_batch.

        Args:
            steps: of every layer.
            saving: as of `latents.nesterov`.

        Raises:
            DivergedError: a variable is not finite.
        """
        layer_of = [layer for layer, count in enumerate(steps) for _ in range(count)]
        optimizer = torch.optim.Adam(self._leaves.values(), lr=lr, betas=betas)
        parts: dict[str, Stateful] = {"search": self._state, "optimizer": optimizer}
        for step in saving.steps(parts, len(layer_of)):
            layer = layer_of[step]
            if step and layer_of[step - 1] != layer:
                self._begin(layer)
            own = self._own(layer)
            slopes = torch.autograd.grad(
                loss(self.images(layer), step).sum(), own, allow_unused=True
            )
            for leaf, slope in zip(own, slopes, strict=True):
                leaf.grad = None if slope is None else slope / reference_batch
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            self._hold(layer)
            for leaf in own:
                check_finite(leaf.detach().flatten(1), step, len(layer_of))

    def _own(self, layer: int) -> list[Tensor]:
        """The variables that are searched in one layer."""
        return [leaf for name, leaf in self._leaves.items() if name in _names(layer)]

    def _features(self, layer: int) -> Features | None:
        """What enters the block of a layer; nothing enters the first."""
        if layer == 0:
            return None
        painted = self._state.state_dict().get(f"painted{layer}")
        return Features(self._leaves[f"maps{layer}"], painted)

    @torch.no_grad()
    def _begin(self, layer: int) -> None:
        codes = self.codes(layer - 1)
        made = self._prior.block(layer - 1, self._features(layer - 1), codes, self._labels)
        self._state[f"codes{layer}"].copy_(codes)
        for name in ("maps", "start"):
            self._state[f"{name}{layer}"].copy_(made.maps)
        if made.painted is not None:
            self._state[f"painted{layer}"].copy_(made.painted)

    @torch.no_grad()
    def _hold(self, layer: int) -> None:
        """Brings features back into their ball."""
        if layer > 0:
            start, maps = self._state[f"start{layer}"], self._state[f"maps{layer}"]
            moved = nearest_in_l1((maps - start).flatten(1), self._radii[layer - 1])
            maps.copy_(start + moved.view_as(maps))


def _names(layer: int) -> tuple[str, str]:
    return f"codes{layer}", f"maps{layer}"


def nearest_in_l1(points: Tensor, radius: float) -> Tensor:
    """The nearest points, in l2, whose l1 norm is at most `radius`, of `points` (N, D).

    By the sorted sizes (Duchi et al., ICML 2008, fig. 1). A point inside stays as it is.
    """
    sizes = points.abs()
    ordered = sizes.sort(dim=1, descending=True).values
    over = ordered.cumsum(dim=1) - radius
    counts = torch.arange(1, points.shape[1] + 1, device=points.device)
    kept = (ordered * counts > over).sum(dim=1, keepdim=True)
    shrink = (over.gather(1, kept - 1) / kept).clamp(min=0)
    return points.sign() * (sizes - shrink).clamp(min=0)
