"""Training with a trapdoor per class: eqs. 2 to 5 of Trap-MID (Liu and Chen, NeurIPS 2024).

Two parts that defences combine: how a model learns the trapdoor beside its task (`Mix`, eq. 2) and
how the triggers themselves are searched (`Search`, eqs. 4 and 5). The order inside a step is the
official code's: discriminators, triggers, model. `Savings` has cheaper ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trapmid import losses, types
from trapmid.augment import TrapAugmentation
from trapmid.losses import Smoothing
from trapmid.metrics.accuracy import balanced_labels
from trapmid.runtime import eval_mode, frozen
from trapmid.training import hiding
from trapmid.training.savings import Convergence, Savings
from trapmid.types import Loss, Output, Progress, Setting, Target, Trapdoor


@dataclass(frozen=True, kw_only=True)
class Mix:
    """Eq. 2: (1 - beta) times the main loss plus beta times the loss on poisoned images."""

    beta: float
    augmentation: TrapAugmentation | None
    smoothing: Smoothing | None  # of the labels: Trap-MID with NegLS
    smoothed_terms: Literal["both", "main"]

    def loss(self, logits: Tensor, labels: Tensor, progress: Progress, term: str) -> Tensor:
        """The mean loss of the term `main` or `trapdoor`."""
        factor = 0.0
        if self.smoothing is not None and self.smoothed_terms in ("both", term):
            factor = self.smoothing.at(progress.epoch, progress.epochs)
        return losses.smoothed_cross_entropy(logits, labels, factor).mean()

    def view(self, images: Tensor) -> Tensor:
        """A fresh random view of the images, where there is an augmentation."""
        return images if self.augmentation is None else self.augmentation(images)


@dataclass(frozen=True, kw_only=True)
class Search:
    """Eqs. 4 and 5: triggers that trap and that discriminators cannot tell."""

    step_size: float  # of the sign step, in units of intensity
    discriminator: bool
    hiding_weight: float  # of the discriminators' term; 1 in the paper
    feature_discriminator: bool
    feature_model_loss: bool  # the model, too, hides the triggers from that discriminator
    until: float  # share of the epochs after which the triggers stay; 1 in the paper
    savings: Savings

    def __post_init__(self) -> None:
        if self.feature_model_loss and not self.feature_discriminator:
            raise ValueError("feature_model_loss: needs feature_discriminator")
        if self.savings.free and self.feature_discriminator:
            raise ValueError("free: needs feature_discriminator: false, whose pass is not free")


class Objective(types.Objective):
    """The losses with their memory: triggers, discriminators and their optimisers.

    Args:
        trapdoor: the triggers to begin with; they move in place.
        mix: the model's loss.
        search: how the triggers move; None: they stay.
        setting: the training.
    """

    trapdoor: Trapdoor

    def __init__(
        self, trapdoor: Trapdoor, mix: Mix, search: Search | None, setting: Setting
    ) -> None:
        super().__init__()
        self.trapdoor, self._mix, self._search, self._rt = trapdoor, mix, search, setting.rt
        self.critics = nn.ModuleDict()
        if search is not None and search.discriminator:
            width = search.savings.discriminator_width
            self.critics["image"] = hiding.image_critic(setting, width)
        if search is not None and search.feature_discriminator:
            self.critics["feature"] = hiding.feature_critic(setting)
        self._optimizers = {
            n: setting.new_optimizer(c.parameters()) for n, c in self.critics.items()
        }
        share = None if search is None else search.savings.frozen_after
        self.convergence = None if share is None else Convergence(share)
        self._num_classes = setting.num_classes
        self._targets = (-1, torch.empty(0, dtype=torch.int64))  # (epoch, its target labels)

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, ...]:
        return tuple(self._optimizers.values())

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        targets = self._target_labels(len(images), progress).to(images.device)
        poisoned, parts = self._poisoned(model, images, targets, progress)
        view = self._mix.view
        both = torch.cat([view(images), view(poisoned)])
        with self._rt.autocast():
            output = model(both)  # one forward: benign and poisoned share batch statistics
        total, terms = self._mixed(output, labels, targets, progress)
        if self.convergence is not None:
            self.convergence.add(terms["train_trapdoor_success"])
        return Loss(total, terms | parts)

    def _search_in(self, progress: Progress) -> Search | None:
        """The search while it lasts; None where the triggers stay from now on."""
        search, epoch = self._search, progress.epoch
        converged = self.convergence is not None and self.convergence.reached(epoch)
        if search is None or converged:
            return None
        if epoch >= round(search.until * progress.epochs, 6):  # in floats 0.28 x 25 is over 7
            return None
        return search

    def _poisoned(
        self, model: Target, images: Tensor, targets: Tensor, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What the model learns `targets` from, and the losses of the search's step before it."""
        search, parts = self._search_in(progress), {}
        if search is not None and search.savings.free:
            return self._poisoned_for_free(search, model, images, targets, progress)
        if search is not None and search.savings.are_due(progress):
            parts = self._update_triggers(search, model, images, targets, progress)
        return self.trapdoor(images, targets), parts

    def _mixed(self, output: Output, labels: Tensor, targets: Tensor, progress: Progress) -> Loss:
        """Eq. 2 of benign images and, behind them, as many poisoned ones with these targets."""
        benign, poisoned = output.logits.float().chunk(2)
        main = self._mix.loss(benign, labels, progress, "main")
        trap = self._mix.loss(poisoned, targets, progress, "trapdoor")
        beta = self._mix.beta
        total = (1 - beta) * main + beta * trap
        if self._search is not None and self._search.feature_model_loss:
            critic = self.critics["feature"]
            with frozen(critic), eval_mode(critic):
                total = total + beta * hiding.bce(critic(hiding.feature_input(output)), 0.5)
        terms = {
            "main_loss": main.detach(),
            "trapdoor_loss": trap.detach(),
            "train_accuracy": (benign.argmax(dim=1) == labels).float().mean(),
            "train_trapdoor_success": (poisoned.argmax(dim=1) == targets).float().mean(),
        }
        return Loss(total, terms)

    def _target_labels(self, batch: int, progress: Progress) -> Tensor:
        """The next chunk of the epoch's list, in which every class is a target equally often."""
        if self._targets[0] != progress.epoch:
            generator = self._rt.generator("target labels", progress.epoch)
            labels = balanced_labels(batch * progress.steps, self._num_classes, generator)
            self._targets = (progress.epoch, labels)
        return self._targets[1][progress.step * batch : (progress.step + 1) * batch]

    def _update_triggers(
        self, search: Search, model: Target, images: Tensor, targets: Tensor, progress: Progress
    ) -> dict[str, Tensor]:
        """Eqs. 4 and 5: one step of the discriminators, then one sign step of the triggers."""
        with eval_mode(model), frozen(model):
            keys = self.trapdoor.triggers[targets].requires_grad_(True)
            poisoned = self.trapdoor.blend(images, keys, targets)
            parts = self._update_critics(model, images, poisoned.detach())
            with self._rt.autocast():
                logits = model(self._mix.view(poisoned)).logits.float()
                trap = self._mix.loss(logits, targets, progress, "trapdoor")
                hidden = self._hiding_loss(model, poisoned)
        (slope,) = torch.autograd.grad(trap + search.hiding_weight * hidden, keys)
        self._step_triggers(search.step_size, slope, targets)
        return parts

    def _poisoned_for_free(
        self, search: Search, model: Target, images: Tensor, targets: Tensor, progress: Progress
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Poisoned images whose triggers move when the model's loss goes backward.

        They descend that loss, so beta times eq. 5's second term, with the model in training mode.
        Where the discriminators are due, eq. 4 and eq. 5's first term, which weighs beta then.
        """
        keys = self.trapdoor.triggers[targets].requires_grad_(True)
        poisoned = self.trapdoor.blend(images, keys, targets)
        parts, away = {}, torch.zeros_like(keys)
        if self.critics and search.savings.are_due(progress):
            parts = self._update_critics(model, images, poisoned.detach())
            with self._rt.autocast():
                hidden = self._hiding_loss(model, poisoned)
            # The model's pass goes backward through the same blend.
            (slope,) = torch.autograd.grad(hidden, keys, retain_graph=True)
            away = self._mix.beta * search.hiding_weight * slope
        keys.register_hook(lambda g: self._step_triggers(search.step_size, g + away, targets))
        return poisoned, parts

    @torch.no_grad()
    def _step_triggers(self, step_size: float, slope: Tensor, targets: Tensor) -> None:
        """k <- clip(k - s sign(dL/dk)), rows of `targets` only; images of one class sum first.

        Every duplicate row computes the same sum, so writing them all writes one value: no
        `unique`, hence no device synchronisation, and no dense (C, 3, S, S) gradient. Outside a
        mask the gradient is zero, so nothing moves there.
        """
        same_class = (targets[:, None] == targets[None, :]).to(slope.dtype)
        summed = (same_class @ slope.flatten(1)).view_as(slope)
        moved = self.trapdoor.triggers[targets] - step_size * summed.sign()
        self.trapdoor.triggers[targets] = moved.clamp(0, 1)

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
                    inputs = hiding.feature_input(model(both))
            with self._rt.autocast():
                score = hiding.score(critic, inputs)
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
            inputs = hiding.feature_input(model(poisoned)) if name == "feature" else poisoned
            with eval_mode(critic), frozen(critic):
                terms.append(hiding.bce(hiding.score(critic, inputs), 1.0))
        # Alone a discriminator weighs 1, two weigh half each, as in the official code.
        return torch.stack(terms).mean() if terms else poisoned.new_zeros(())
