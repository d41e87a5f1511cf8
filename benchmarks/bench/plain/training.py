"""One step of a classifier's training, as the released code of each defence has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plain import views
from trapmid.defenses.bido import Defense as BiDo
from trapmid.defenses.mid import Bottleneck
from trapmid.defenses.trapmid import Defense as TrapMid
from trapmid.types import Target

NewOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def classify(
    model: Target, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
) -> float:
    """Without a defence."""
    return descend(optimizer, F.cross_entropy(model(images).logits, labels))


class TrapMidStep:
    """Trap-MID's `engine.py`: discriminator, triggers, model.

    Triggers are gathered one by one from a list, which gives as many dense gradients; the step of
    the triggers leaves gradients in both networks, which nobody uses.

    Args:
        triggers: (C, 3, S, S); they move, in place.
        critic: the discriminator, with one output.
    """

    def __init__(
        self,
        defense: TrapMid,
        model: Target,
        critic: Target,
        triggers: Tensor,
        new_optimizer: NewOptimizer,
    ) -> None:
        assert defense.augmentation is not None
        self._d, self._view = defense, defense.augmentation
        self.model, self.critic, self.triggers = model, critic, triggers
        self._for_model = new_optimizer(model.parameters())
        self._for_critic = new_optimizer(critic.parameters())

    def __call__(self, images: Tensor, labels: Tensor, targets: Tensor) -> float:
        """Returns the model's loss."""
        self._move_triggers(images, targets)
        self.model.train()
        benign = views.trap(images, self._view)
        poisoned = views.trap(self._poison(images, self.triggers, targets), self._view)
        logits = self.model(torch.cat([benign, poisoned])).logits
        beta, n = self._d.beta, len(images)
        loss = (1 - beta) * F.cross_entropy(logits[:n], labels)
        loss = loss + beta * F.cross_entropy(logits[n:], targets)
        for half, truth in ((logits[:n], labels), (logits[n:], targets)):
            (half.argmax(dim=1) == truth).sum().item()
        return descend(self._for_model, loss)

    def _move_triggers(self, images: Tensor, targets: Tensor) -> None:
        k = self.triggers.clone().requires_grad_(True)
        self.model.eval()
        poisoned = self._poison(images, k, targets)
        n = len(images)
        truth = torch.cat([images.new_ones(n), images.new_zeros(n)])
        self.critic.train()
        both = torch.cat([images, poisoned.detach()])
        score = self.critic(both).logits[:, 0]
        descend(self._for_critic, F.binary_cross_entropy_with_logits(score, truth))
        self.critic.eval()
        hidden = self.critic(poisoned).logits[:, 0]
        loss = self._d.hiding_weight * F.binary_cross_entropy_with_logits(hidden, truth[:n])
        logits = self.model(views.trap(poisoned, self._view)).logits
        loss = loss + F.cross_entropy(logits, targets)
        loss.backward()
        loss.item()
        assert k.grad is not None
        with torch.no_grad():
            self.triggers.copy_((k - self._d.step_size * k.grad.sign()).clamp(0, 1))

    def _poison(self, images: Tensor, triggers: Tensor, targets: Tensor) -> Tensor:
        keys = torch.stack([triggers[y] for y in targets])
        return (1 - self._d.alpha) * images + self._d.alpha * keys


def mid(
    model: Target, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, weight: float
) -> float:
    """MID: the noise of the bottleneck comes from the CPU at every forward."""
    assert isinstance(model, Bottleneck)
    mean, raw = model.code(model.embed(images).vector).chunk(2, dim=1)
    deviation = F.softplus(raw - 5)
    logits = model.classifier(mean + deviation * torch.randn(deviation.shape).to(mean))
    information = 0.5 * (mean**2 + deviation**2 - 1 - 2 * deviation.log()).sum(dim=1).mean()
    return descend(optimizer, F.cross_entropy(logits, labels) + weight * information)


def bido(
    model: Target, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, block: BiDo
) -> float:
    """BiDO by HSIC: per layer four kernels and four inverses in single precision, two of them the
    same for every layer."""
    output = model(images)
    seen, one_hot = images.flatten(1), F.one_hot(labels, model.num_classes).to(images)
    loss = F.cross_entropy(output.logits, labels)
    for hidden in output.hidden:
        layer = hidden.flatten(1)
        on_images = _dependence(_gaussian(layer, block.sigma), _gaussian(seen, block.sigma))
        on_labels = _dependence(_gaussian(layer, block.sigma), one_hot @ one_hot.T)
        loss = loss + block.input_weight * on_images - block.label_weight * on_labels
    return descend(optimizer, loss)


def _gaussian(rows: Tensor, sigma: float) -> Tensor:
    products = rows @ rows.T
    squares = products.diagonal()
    distances = (squares[:, None] - 2 * products + squares[None]).abs()
    return torch.exp(-distances / (2 * sigma**2 * rows.shape[1]))


def _dependence(one: Tensor, other: Tensor) -> Tensor:
    return (_response(one) * _response(other).T).sum()


def _response(kernel: Tensor) -> Tensor:
    m = len(kernel)
    one = torch.eye(m, dtype=kernel.dtype)
    centred = kernel @ (one - 1 / m)
    return centred @ torch.linalg.inv(centred + 1e-5 * m * one)


def private(
    model: Target,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    most: float,
    noise: float,
) -> None:
    """DP-SGD image by image: a backward pass each, clipped to the norm `most`, then noise."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    sums = [torch.zeros_like(p) for p in parameters]
    for i in range(len(images)):
        loss = F.cross_entropy(model(images[i : i + 1]).logits, labels[i : i + 1])
        slopes = torch.autograd.grad(loss, parameters)
        norm = torch.stack([slope.norm() for slope in slopes]).norm()
        factor = (most / (norm + 1e-6)).clamp(max=1)
        for total, slope in zip(sums, slopes, strict=True):
            total += factor * slope
    for parameter, total in zip(parameters, sums, strict=True):
        parameter.grad = (total + noise * most * torch.randn_like(total)) / len(images)
    optimizer.step()
