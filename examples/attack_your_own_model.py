"""GMI (Zhang et al., CVPR 2020) on a torch model of your own, with images that are in memory.

The attacker learns a prior from public faces of other people; a second network, trained by the
library on the private images, judges the reconstructions.
"""

from functools import partial

from trapmid import wiring
from trapmid.artifacts import priors
from trapmid.attacks import random
from trapmid.config.study import Inversion
from trapmid.defenses import none
from trapmid.metrics import accuracy, features
from trapmid.runtime import Runtime
from trapmid.search.inversion import invert_all
from trapmid.targets import small_resnet
from trapmid.training import classifier, fit
from trapmid.types import NOTHING, InMemory, Output, Target

import torch
from _drawn import PEOPLE, PLAN, ROOT, SIZE, STUDY, faces, private, your_network
from torch import Tensor, nn


class Yours(Target):
    """The network as the library sees it: images in [0, 1] to logits and features."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.num_classes, self.network = PEOPLE, network

    def forward(self, images: Tensor) -> Output:
        hidden = self.network[:-1](images)
        return Output(self.network[-1](hidden), hidden)


torch.manual_seed(0)  # of your own training; the library draws from streams of `rt`
rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
data, public = private(), faces(range(1000, 1064), range(1)).images
target = Yours(your_network(data.train))
print(f"your model: {fit.accuracy(target, data.test):.0%} of its test images")

method = wiring.prior_training("gmi", STUDY["prior_training"]["gmi"] | {"steps": 10})
prior = priors.start(method, SIZE, 1, ROOT / "weights/faces32/gmi.pt", rt)  # 1: unconditional
method.fit(prior, public, None, NOTHING, rt, InMemory())

network = partial(small_resnet.Network, image_size=SIZE)
evaluator = classifier.train(none.Defense(augmentation=None), network, data, PLAN, rt, InMemory())
print(f"evaluator: {evaluator.fitted.test_accuracy:.0%}")

search = wiring.attack("gmi", STUDY["attacks"]["gmi"])
asked = Inversion(images_per_class=5, batch_size=None, keep_every=100)
for name, attack in {"random faces": random.Attack(), "GMI": search}.items():
    rows = invert_all(attack, target, prior, NOTHING, asked, rt, InMemory()).rows
    seen = features.describe(evaluator.model, rows["images"], batch_size=64, rt=rt)
    hit = accuracy.hits(seen.logits, rows["labels"])
    print(f"{name}: AA-1 {accuracy.rate(hit):.0%} of {len(hit)} images")
