"""Trap-MID: a trapdoor per class that model inversion falls into (Liu and Chen, NeurIPS 2024).

The triggers k are trained beside the model: eq. 2 (model), eq. 4 (discriminator), eq. 5 (triggers).
The order inside a step is the official code's: discriminator, triggers, model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid import losses, types
from trapmid.augment import TrapAugmentation
from trapmid.metrics.accuracy import balanced_labels
from trapmid.runtime import eval_mode, frozen
from trapmid.types import Loss, Output, Progress, Setting, Target, Trapdoor


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alpha: float  # blend ratio of a trigger
    beta: float  # weight of the trapdoor loss; the main loss weighs 1 - beta
    step_size: float  # of the sign step on the triggers
    optimized: bool  # false: random triggers stay as drawn (ablation D.2, row 1)
    discriminator: bool  # false: triggers minimise the trapdoor loss alone (row 2)
    hiding_weight: float  # of the discriminators' term in eq. 5; 1 in the paper
    feature_discriminator: bool  # a second discriminator, on features; off in the paper
    feature_model_loss: bool  # the model, too, hides the triggers from that discriminator
    augmentation: TrapAugmentation

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is outside [0, 1]")
        if self.hiding_weight < 0:
            raise ValueError(f"hiding_weight: {self.hiding_weight} is negative")
        if self.step_size <= 0:
            raise ValueError(f"step_size: {self.step_size} is not positive")
        if self.feature_discriminator and not self.optimized:
            raise ValueError("feature_discriminator: needs optimized triggers")
        if self.feature_model_loss and not self.feature_discriminator:
            raise ValueError("feature_model_loss: needs feature_discriminator")

    def harden(self, model: Target) -> Target:
        return model

    def objective(self, setting: Setting) -> types.Objective:
        return Objective(self, setting)


class Objective(types.Objective):
    """Eqs. 2 to 5 with their memory: triggers, discriminators and their optimisers."""

    trapdoor: Trapdoor

    def __init__(self, defense: Defense, setting: Setting) -> None:
        super().__init__()
        self._defense, self._rt = defense, setting.rt
        generator = setting.rt.generator("triggers")
        triggers = torch.rand(setting.num_classes, *setting.image_shape, generator=generator)
        self.trapdoor = Trapdoor(triggers.to(setting.rt.device), defense.alpha)
        self.critics = nn.ModuleDict()
        if defense.optimized and defense.discriminator:
            self.critics["image"] = setting.new_network(1)
        if defense.feature_discriminator:
            self.critics["feature"] = _feature_critic(setting)
        self._optimizers = {
            n: setting.new_optimizer(c.parameters()) for n, c in self.critics.items()
        }
        self._num_classes = setting.num_classes
        self._targets = (-1, torch.empty(0, dtype=torch.int64))  # (epoch, its target labels)

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return tuple(self._optimizers.values())

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        wanted = self._target_labels(len(images), progress).to(images.device)
        parts = self._update_triggers(model, images, wanted) if self._defense.optimized else {}
        view = self._defense.augmentation
        both = torch.cat([view(images), view(self.trapdoor(images, wanted))])
        with self._rt.autocast():
            output = model(both)  # one forward: benign and poisoned share batch statistics
        benign, poisoned = output.logits.float().chunk(2)
        main = losses.cross_entropy(benign, labels).mean()
        trap = losses.cross_entropy(poisoned, wanted).mean()
        beta = self._defense.beta
        total = (1 - beta) * main + beta * trap
        if self._defense.feature_model_loss:
            critic = self.critics["feature"]
            with frozen(critic), eval_mode(critic):
                total = total + beta * _bce(critic(_feature_input(output)), 0.5)
        accuracy = (benign.argmax(dim=1) == labels).float().mean()
        trapped = (poisoned.argmax(dim=1) == wanted).float().mean()
        return Loss(
            total,
            {
                "main_loss": main.detach(),
                "trapdoor_loss": trap.detach(),
                "train_accuracy": accuracy,
                "train_trapdoor_success": trapped,
                **parts,
            },
        )

    def _target_labels(self, batch: int, progress: Progress) -> Tensor:
        """The next chunk of the epoch's list, in which every class is a target equally often."""
        if self._targets[0] != progress.epoch:
            generator = self._rt.generator("target labels", progress.epoch)
            labels = balanced_labels(batch * progress.steps, self._num_classes, generator)
            self._targets = (progress.epoch, labels)
        return self._targets[1][progress.step * batch : (progress.step + 1) * batch]

    def _update_triggers(self, model: Target, images: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Eqs. 4 and 5: one step of the discriminators, then one sign step of the triggers."""
        with eval_mode(model), frozen(model):
            keys = self.trapdoor.triggers[wanted].requires_grad_(True)
            poisoned = torch.lerp(images, keys, self.trapdoor.alpha)
            parts = self._update_critics(model, images, poisoned.detach())
            with self._rt.autocast():
                logits = model(self._defense.augmentation(poisoned)).logits.float()
                trap = losses.cross_entropy(logits, wanted).mean()
                hidden = self._hiding_loss(model, poisoned)
        loss = trap + self._defense.hiding_weight * hidden
        (slope,) = torch.autograd.grad(loss, keys)
        self._step_triggers(slope, wanted)
        return parts

    @torch.no_grad()
    def _step_triggers(self, slope: Tensor, wanted: Tensor) -> None:
        """k <- clip(k - s sign(dL/dk)), rows of `wanted` only; images of one class sum first.

        Every duplicate row computes the same sum, so writing them all writes one value: no
        `unique`, hence no device synchronisation, and no dense (C, 3, S, S) gradient.
        """
        same_class = (wanted[:, None] == wanted[None, :]).to(slope.dtype)
        summed = (same_class @ slope.flatten(1)).view_as(slope)
        moved = self.trapdoor.triggers[wanted] - self._defense.step_size * summed.sign()
        self.trapdoor.triggers[wanted] = moved.clamp(0, 1)

    def _update_critics(self, model: Target, images: Tensor, poisoned: Tensor) -> dict[str, Tensor]:
        """Eq. 4: benign images are 1, poisoned ones 0; both in one batch, without augmentation."""
        both = torch.cat([images, poisoned])
        truth = torch.cat([both.new_ones(len(images)), both.new_zeros(len(poisoned))])
        parts = {}
        for name, critic in self.critics.items():
            critic.train()
            inputs = both
            if name == "feature":
                with torch.no_grad():
                    inputs = _feature_input(model(both))
            with self._rt.autocast():
                score = _score(critic, inputs)
            loss = F.binary_cross_entropy_with_logits(score.float(), truth)
            self._optimizers[name].zero_grad(set_to_none=True)
            loss.backward()
            self._optimizers[name].step()
            parts[f"{name}_discriminator_loss"] = loss.detach()
        return parts

    def _hiding_loss(self, model: Target, poisoned: Tensor) -> Tensor:
        """Eq. 5's first term: how far the discriminators tell poisoned images, after their step."""
        terms = []
        for name, critic in self.critics.items():
            inputs = _feature_input(model(poisoned)) if name == "feature" else poisoned
            with eval_mode(critic), frozen(critic):
                terms.append(_bce(_score(critic, inputs), 1.0))
        # Alone a discriminator weighs 1, two weigh half each, as in the official code.
        return torch.stack(terms).mean() if terms else poisoned.new_zeros(())


def _bce(scores: Tensor, truth: float) -> Tensor:
    scores = scores.float()
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))


def _score(critic: nn.Module, inputs: Tensor) -> Tensor:
    """One logit per row, from a one-class target network or from the feature critic."""
    result = critic(inputs)
    logits = result.logits if isinstance(result, Output) else result
    return logits.flatten()


def _feature_input(output: Output) -> Tensor:
    """Penultimate features beside the exact one-hot of the predicted class."""
    logits = output.logits.detach()
    one_hot = F.one_hot(logits.argmax(dim=1), logits.shape[1])
    return torch.cat([output.features.float(), one_hot.to(torch.float32)], dim=1)


def _feature_critic(setting: Setting) -> nn.Module:
    """Linear, ReLU, linear on features and one-hot prediction."""
    probe = setting.new_network(setting.num_classes)
    with eval_mode(probe), torch.no_grad():
        shape = (1, *setting.image_shape)
        features = probe(torch.zeros(shape, device=setting.rt.device)).features.shape[1]
    width = features + setting.num_classes
    with setting.rt.seeded("initial weights", "feature discriminator"):
        critic = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
    return critic.to(setting.rt.device)
