"""A new defence, trained beside none: a penalty on confidence (Pereyra et al., 2017).

A defence is a frozen dataclass; here it changes the loss, and leaves the network as it is.
"""

from dataclasses import dataclass
from functools import partial

from trapmid import types
from trapmid.defenses import none
from trapmid.metrics import features
from trapmid.runtime import Runtime
from trapmid.targets import small_vgg
from trapmid.training import classifier
from trapmid.types import InMemory, Loss, Progress, Setting, Target

import torch
import torch.nn.functional as F
from _drawn import PLAN, SIZE, private
from torch import Tensor


class Unsure(types.Objective):
    """Cross-entropy, less `weight` times the entropy of what the network answers."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        logits = model(images).logits
        entropy = torch.special.entr(logits.softmax(dim=1)).sum(dim=1).mean()
        loss = F.cross_entropy(logits, labels) - self.weight * entropy
        right = (logits.argmax(dim=1) == labels).float().mean()
        return Loss(loss, {"train_accuracy": right, "entropy": entropy.detach()})


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    weight: float

    def objective(self, setting: Setting) -> types.Objective:
        return Unsure(self.weight)


rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
data, network = private(), partial(small_vgg.Network, image_size=SIZE)
defenses = {"none": none.Defense(augmentation=None), "unsure": Defense(weight=1.0)}
for name, defense in defenses.items():
    trained = classifier.train(defense, network, data, PLAN, rt, InMemory())
    seen = features.describe(trained.model, data.test.images, batch_size=64, rt=rt)
    confidence = seen.logits.softmax(dim=1).amax(dim=1).mean().item()
    print(f"{name}: accuracy {trained.fitted.test_accuracy:.0%}, confidence {confidence:.0%}")
