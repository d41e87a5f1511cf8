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
        critic: the discriminator, with one output; a small one gives it as it is.
    """

    def __init__(
        self,
        defense: TrapMid,
        model: Target,
        critic: nn.Module,
        triggers: Tensor,
        new_optimizer: NewOptimizer,
    ) -> None:
        assert defense.augmentation is not None
        self._d, self._view = defense, defense.augmentation
        self.model, self.critic, self.triggers = model, critic, triggers
        self._for_model = new_optimizer(model.parameters())
        self._for_critic = new_optimizer(critic.parameters())
        self._step = 0

    def __call__(self, images: Tensor, labels: Tensor, targets: Tensor) -> float:
        """Returns the model's loss."""
        if self._d.free:
            return self._freely(images, labels, targets)
        self._move_triggers(images, targets)
        return self._learn(images, self._poison(images, self.triggers, targets), labels, targets)

    def _freely(self, images: Tensor, labels: Tensor, targets: Tensor) -> float:
        """Triggers move by the model's own pass; a step with the critic, then `search_every` - 1
        without."""
        k = self.triggers.clone().requires_grad_(True)
        poisoned = self._poison(images, k, targets)
        if self._step % self._d.search_every == 0:
            hidden = self._d.beta * self._d.hiding_weight * self._hidden(images, poisoned)
            hidden.backward(retain_graph=True)
        self._step += 1
        loss = self._learn(images, poisoned, labels, targets)
        self._moved(k)
        return loss

    def _learn(self, images: Tensor, poisoned: Tensor, labels: Tensor, targets: Tensor) -> float:
        self.model.train()
        both = [views.trap(images, self._view), views.trap(poisoned, self._view)]
        logits = self.model(torch.cat(both)).logits
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
        loss = self._d.hiding_weight * self._hidden(images, poisoned)
        logits = self.model(views.trap(poisoned, self._view)).logits
        loss = loss + F.cross_entropy(logits, targets)
        loss.backward()
        loss.item()
        self._moved(k)

    def _hidden(self, images: Tensor, poisoned: Tensor) -> Tensor:
        """The discriminator's step, and how far it then tells poisoned images."""
        n = len(images)
        truth = torch.cat([images.new_ones(n), images.new_zeros(n)])
        self.critic.train()
        score = _score(self.critic, torch.cat([images, poisoned.detach()]))
        descend(self._for_critic, F.binary_cross_entropy_with_logits(score, truth))
        self.critic.eval()
        return F.binary_cross_entropy_with_logits(_score(self.critic, poisoned), truth[:n])

    @torch.no_grad()
    def _moved(self, k: Tensor) -> None:
        assert k.grad is not None
        self.triggers.copy_((k - self._d.step_size * k.grad.sign()).clamp(0, 1))

    def _poison(self, images: Tensor, triggers: Tensor, targets: Tensor) -> Tensor:
        keys = torch.stack([triggers[y] for y in targets])
        return (1 - self._d.alpha) * images + self._d.alpha * keys


def _score(critic: nn.Module, images: Tensor) -> Tensor:
    answer = critic(images)
    score: Tensor = answer if isinstance(answer, Tensor) else answer.logits[:, 0]
    return score


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
