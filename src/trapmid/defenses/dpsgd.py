"""DP-SGD: clipped gradients of single images, and noise (Abadi et al., "Deep Learning with
Differential Privacy", CCS 2016), by way of Opacus.

What epsilon says, and what it does not:

- It protects one image, not one person: with k images a person has k epsilon, at a larger delta.
- It covers the weights. Choosing the epoch by accuracy on private images is not accounted for, so
  `classifier_training` should select the last one; nor are the training curves.
- It supposes Poisson batches. With `poisson: false`, batches are shuffled, and epsilon is what
  Poisson batches would have: the common practice, and an optimistic one.
- The noise comes from the seed of the run, so that runs repeat: who knows the seed knows the noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from opacus.accountants import RDPAccountant
from opacus.grad_sample import GradSampleHooks
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trapmid import types
from trapmid.config.bounds import OpenShare, Positive
from trapmid.training.objectives import Classify
from trapmid.training.precision import check_exact
from trapmid.types import Loss, Progress, Setting, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alters_network: ClassVar[bool] = True

    noise_multiplier: Positive  # standard deviation of the noise, in units of `max_grad_norm`
    max_grad_norm: Positive  # to which an image's gradient is clipped
    delta: OpenShare  # chance that the guarantee fails; under 1 / number of images
    poisson: bool  # every image joins a batch by chance of its own; false: shuffled batches

    def check_training(self, batch_size: int, precision: str) -> None:
        del batch_size
        check_exact("dpsgd", precision)

    def adapt(self, model: Target) -> Target:
        """Normalises every image by itself: batch normalisation would mix the images of a batch.

        In place. Weights, biases and whether they learn stay; running statistics go.

        Raises:
            ValueError: a layer mixes images in another way, or does more than to normalise.
        """
        for module in list(model.modules()):
            for name, child in module.named_children():
                # A subclass may do more: timm's applies the activation, too.
                if type(child) is nn.BatchNorm1d or type(child) is nn.BatchNorm2d:
                    setattr(module, name, _group_norm(child))
            if getattr(module, "inplace", False):  # autograd's hooks forbid it
                setattr(module, "inplace", False)  # noqa: B010 - activations declare no such field
        for module in model.modules():
            if isinstance(module, _BatchNorm) or getattr(module, "running_mean", None) is not None:
                raise ValueError(
                    f"arch: {type(model).__module__} has {type(module).__name__}, which mixes "
                    "images; dpsgd replaces BatchNorm1d and BatchNorm2d alone"
                )
        return model

    def objective(self, setting: Setting) -> types.Objective:
        check_exact("dpsgd", setting.rt.precision)
        return Objective(self, setting)


def _group_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.GroupNorm:
    """A GroupNorm with the parameters of a batch normalisation.

    A vector is one group, as in LayerNorm; maps have up to 32 groups of at least four channels (Wu
    and He, "Group Normalization", ECCV 2018): a group of one pixel would be nothing but zeros.
    """
    channels, groups = norm.num_features, 1
    if isinstance(norm, nn.BatchNorm2d):
        fitting = (g for g in (32, 16, 8, 4, 2) if channels % g == 0 and channels >= 4 * g)
        groups = next(fitting, 1)
    group_norm = nn.GroupNorm(groups, channels, norm.eps, affine=False).train(norm.training)
    group_norm.affine, group_norm.weight, group_norm.bias = norm.affine, norm.weight, norm.bias
    return group_norm


def _row_by_row(
    known: Callable[..., dict[nn.Parameter, Tensor]],
    layer: nn.Conv2d,
    activations: list[Tensor],
    backprops: Tensor,
) -> dict[nn.Parameter, Tensor]:
    """The gradients of single images by `known`, Opacus' own.

    It takes the pixels of a row for neighbours in memory (1.6.0): of maps that lie channels last,
    as `Runtime.place` has them on a CPU, it makes wrong gradients without a word
    (findings/opacus_channels_last.sh).
    """
    return known(layer, [one.contiguous() for one in activations], backprops)


class Objective(Classify):
    """Cross-entropy; remembers how often the optimiser looked at the data, and how closely."""

    steps: Tensor
    sample_rate: Tensor

    def __init__(self, defense: Defense, setting: Setting) -> None:
        super().__init__(setting.rt)
        self._defense = defense
        self._clipping: Any = None  # Opacus has no types
        self._optimizer: Any = None
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("sample_rate", torch.zeros((), dtype=torch.float64))

    def prepare(self, model: Target, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """An optimiser that clips, adds noise and then steps `optimizer`.

        Raises:
            NotImplementedError: `model` has trainable layers with running statistics.
        """
        self._clipping = GradSampleHooks(model, loss_reduction="mean")
        known = self._clipping.GRAD_SAMPLERS
        self._clipping.GRAD_SAMPLERS = known | {nn.Conv2d: partial(_row_by_row, known[nn.Conv2d])}
        self._clipping.disable_hooks()
        self._optimizer = DPOptimizer(
            optimizer,
            noise_multiplier=self._defense.noise_multiplier,
            max_grad_norm=self._defense.max_grad_norm,
            expected_batch_size=1,  # until `batches` knows better
        )
        self._optimizer.attach_step_hook(self._after_noise)
        prepared: torch.optim.Optimizer = self._optimizer
        return prepared

    def batches(self, labels: Tensor, batch_size: int) -> list[Tensor]:
        """One epoch; with Poisson sampling `batch_size` is the expected size, and 0 is possible.

        Raises:
            ValueError: `delta` would allow to publish an image.
        """
        n, size = len(labels), min(batch_size, len(labels))
        if self._defense.delta * n >= 1:
            raise ValueError(f"delta: {self._defense.delta} is not under 1/{n}, one image of {n}")
        self.sample_rate.fill_(size / n)
        if self._optimizer is not None:
            # The sum of the clipped gradients is divided by the expected size: the true one is
            # private. Opacus undoes the mean over the true size before it clips.
            self._optimizer.expected_batch_size = size
        if not self._defense.poisson:
            return super().batches(labels, batch_size)
        return [(torch.rand(n) < size / n).nonzero().squeeze(1) for _ in range(n // size)]

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        """The mean cross-entropy of the batch.

        Raises:
            ValueError: the network changes a layer's output in place.
        """
        if self._clipping is not None:
            self._clipping.enable_hooks()
        if len(images) == 0:
            return self._nobody(images)
        try:  # the first layer's hook warns if nothing before it takes a gradient
            return super().forward(model, images.detach().requires_grad_(), labels, progress)
        except RuntimeError as error:
            if "modified inplace" not in str(error):
                raise
            raise ValueError(
                f"arch: {type(model).__module__} changes a layer's output in place, "
                "which the hooks of dpsgd forbid"
            ) from None

    def _nobody(self, images: Tensor) -> Loss:
        """The loss of an empty batch: the step that follows is pure noise, and counts."""
        total = images.new_zeros((), requires_grad=True)
        total.register_hook(self._no_gradients)  # at `backward`, since the loop clears before it
        return Loss(total, {"train_accuracy": images.new_zeros(())})

    def _no_gradients(self, slope: Tensor) -> None:
        del slope
        for p in self._optimizer.params:
            p.grad_sample = p.new_zeros((0, *p.shape))

    def _after_noise(self, optimizer: Any) -> None:
        """Counts the step and leaves the model as if Opacus had not been there."""
        self.steps += 1
        self._clipping.disable_hooks()
        for p in optimizer.params:  # a copy of the weights for every image: too much to keep
            p.grad_sample = p.summed_grad = None

    def facts(self) -> dict[str, float]:
        """The privacy spent so far, by Renyi accounting (Mironov et al., 2019).

        Empty before the first epoch: of a network that was taken as it is, nothing is known.
        """
        steps, rate = int(self.steps), float(self.sample_rate)
        if rate == 0:
            return {}
        accountant = RDPAccountant()
        if steps:
            accountant.history = [(self._defense.noise_multiplier, rate, steps)]
        with warnings.catch_warnings():  # the bound holds; orders beyond Opacus' might tighten it
            warnings.filterwarnings("ignore", message="Optimal order is the", category=UserWarning)
            epsilon = float(accountant.get_epsilon(self._defense.delta))
        return {
            "epsilon": epsilon,
            "delta": self._defense.delta,
            "noise_multiplier": self._defense.noise_multiplier,
            "sample_rate": rate,
            "steps": float(steps),
        }
