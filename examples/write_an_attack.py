"""A new attack, beside random faces: a max-margin search that stays where the prior is at home.

An attack is a frozen dataclass. Each of its rows depends on (seed, label, draw) alone.
"""

from dataclasses import dataclass
from functools import partial

from trapmid import losses, types, wiring
from trapmid.artifacts import priors
from trapmid.attacks import random
from trapmid.config.study import Inversion
from trapmid.defenses import none
from trapmid.metrics import accuracy, features
from trapmid.runtime import Runtime, eval_mode, frozen
from trapmid.search import latents
from trapmid.search.inversion import invert_all
from trapmid.targets import small_resnet, small_vgg
from trapmid.training import classifier
from trapmid.types import NOTHING, InMemory, Prior, Reconstruction, Target, Task

import torch
from _drawn import PLAN, ROOT, SIZE, STUDY, private
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Attack(types.Attack):
    steps: int
    lr: float
    weight: float  # of half the squared length of a latent: its surprise to the prior

    def invert(self, target: Target, prior: Prior, task: Task, rt: Runtime) -> Reconstruction:
        def loss(z: Tensor, step: int) -> Tensor:
            margin = losses.max_margin(target(prior(z, task.labels)).logits, task.labels)
            return margin + self.weight * z.square().sum(dim=1) / 2

        start = latents.start(task.labels, task.draws, prior.latent_dim, rt.seed)
        with eval_mode(target, prior), frozen(target, prior):
            return latents.adam(
                start, loss, steps=self.steps, lr=self.lr, reference_batch=1, saving=task.saving
            ).reconstruction(prior, task)


rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
undefended, data = none.Defense(augmentation=None), private()
target, evaluator = (
    classifier.train(undefended, partial(net, image_size=SIZE), data, PLAN, rt, InMemory()).model
    for net in (small_vgg.Network, small_resnet.Network)
)
method = wiring.prior_training("gmi", STUDY["prior_training"]["gmi"])
prior = priors.start(method, SIZE, 1, ROOT / "weights/faces32/gmi.pt", rt)  # learnt already
asked = Inversion(images_per_class=5, batch_size=None, keep_every=100)
attacks = {"random faces": random.Attack(), "at home": Attack(steps=100, lr=0.05, weight=0.01)}
for name, attack in attacks.items():
    rows = invert_all(attack, target, prior, NOTHING, asked, rt, InMemory()).rows
    seen = features.describe(evaluator, rows["images"], batch_size=64, rt=rt)
    hit = accuracy.hits(seen.logits, rows["labels"])
    print(f"{name}: AA-1 {accuracy.rate(hit):.0%} of {len(hit)} images")
