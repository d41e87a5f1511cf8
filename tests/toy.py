"""The toy world: coloured squares for faces, a one-layer target, a linear prior.

Everything in it runs in milliseconds, and most of it can be computed by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trapmid.artifacts.lineage import Lineage
from trapmid.artifacts.scratch import Scratch
from trapmid.config.study import ClassifierTraining
from trapmid.nets.residual import Residual
from trapmid.runtime import Runtime
from trapmid.training.fit import Labelled
from trapmid.types import (
    BlockPrior,
    Embedding,
    Features,
    InMemory,
    Output,
    Prior,
    Setting,
    StylePrior,
    Target,
)

Memory = InMemory

SIZE = 8
PIXELS = 3 * SIZE * SIZE
PEOPLE = "people of the toy world"
LINEAGE = Lineage(people=PEOPLE, target=None)

# Blocks of params.yaml, as small as a test can have them
T: dict[str, Any] = {
    "crop": 0.5,
    "crop_per": "batch",
    "scale": 0.5,
    "flip": 0.5,
    "rotation": 0.5,
    "degrees": 30.0,
}
TRAPMID: dict[str, Any] = {
    "alpha": 0.1,
    "beta": 0.2,
    "step_size": 0.01,
    "until": 1.0,
    "optimized": True,
    "discriminator": True,
    "hiding_weight": 1.0,
    "feature_discriminator": False,
    "feature_model_loss": False,
    "augmentation": T,
    "smoothing": None,
    "smoothed_terms": "both",
    "free": False,
    "discriminator_width": None,
    "search_every": 1,
    "frozen_after": None,
}
NEGLS: dict[str, Any] = {"smoothing": {"factor": -0.05, "ramp": [0.25, 0.75], "jump": True}}
TED: dict[str, Any] = {"alpha": 0.2, "beta": 0.5, "squares": 2, "square": 3}
ATAT: dict[str, Any] = {
    "weight": 0.5,
    "radius": 0.02,
    "step": 0.008,
    "steps": 3,
    "augmentation": None,
}
MIDRE: dict[str, Any] = {"area": [0.1, 0.4], "fill": [0.7, 0.6, 0.5], "augmentation": None}
BLOCKS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {"augmentation": None}),
    "none_aug": ("none", {"augmentation": T}),
    "atat": ("atat", ATAT),
    "atat, augmented": ("atat", ATAT | {"augmentation": T}),
    "bido": (
        "bido",
        {
            "measure": "hsic",
            "kernel": "gaussian",
            "label_kernel": "linear",
            "input_weight": 0.05,
            "label_weight": 0.5,
            "sigma": 5.0,
            "identities_per_batch": 2,
            "images_per_identity": 4,
        },
    ),
    "dpsgd": (
        "dpsgd",
        {"noise_multiplier": 0.5, "max_grad_norm": 1.0, "delta": 1e-3, "poisson": True},
    ),
    "loft": ("loft", {"rank": 2}),
    "midre": ("midre", MIDRE),
    "midre, augmented": ("midre", MIDRE | {"augmentation": T}),
    "mid": ("mid", {"weight": 0.003, "width": 6, "noise": "mean"}),
    "mid, fresh": ("mid", {"weight": 0.003, "width": 6, "noise": "fresh"}),
    "negls": ("negls", NEGLS),
    "rolss": ("rolss", {"scale": 0.0, "stages": 1}),
    "ted": ("ted", TED),
    "ted_plus": (
        "ted_plus",
        TED | {"step_size": 0.01, "until": 1.0, "hiding_weight": 1.0, "augmentation": T},
    ),
    "transfer": ("transfer", {"frozen_stages": 1, "freeze_statistics": True}),
    "trapmid": ("trapmid", TRAPMID),
    "trapmid, negls": ("trapmid", TRAPMID | NEGLS),
    "trapmid, negls in the main term": ("trapmid", TRAPMID | NEGLS | {"smoothed_terms": "main"}),
}
"""Every defence: (module of trapmid.defenses, block)."""

PLGMI: dict[str, Any] = {
    "latent_dim": 5,
    "width": 2,
    "top_n": 6,
    "steps": 6,
    "critic_steps": 2,
    "batch_size": 4,
    "lr_generator": 0.001,
    "lr_critic": 0.002,
    "betas": [0.0, 0.9],
    "alpha": 0.2,
    "identity_loss": "margin",
    "noise": 1 / 256,
    "view": {
        "scale": 0.5,
        "jitter": 0.2,
        "jitter_probability": 0.5,
        "flip": 0.5,
        "rotation": 0.5,
        "degrees": 5.0,
    },
    "view_noise": 0.0,
    "adaptive": None,
    "vae_gan": None,
    "ema": 0.0,
    "precision": "fp32",
    "keep_every": 2,
}


def runtime(seed: int = 0, precision: str = "fp32") -> Runtime:
    return Runtime(device=torch.device("cpu"), seed=seed, precision=precision)


def setting(classes: int = 4) -> Setting:
    """A training of `ToyNet` on the toy world's images."""
    return Setting(
        image_shape=(3, SIZE, SIZE),
        num_classes=classes,
        new_network=lambda outputs: seeded(ToyNet, outputs),
        new_optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        rt=runtime(),
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=generator(seed))


def images(n: int, seed: int = 0, size: int = SIZE) -> Tensor:
    """Float images (N, 3, S, S) in [0, 1]."""
    return uniform(n, 3, size, size, seed=seed)


class ToyTarget(Target):
    """Batch normalisation and one linear layer: the least network with running statistics."""

    def __init__(self, num_classes: int, image_size: int = SIZE) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.norm = nn.BatchNorm1d(3 * image_size**2)
        self.classifier = nn.Linear(3 * image_size**2, num_classes)

    def forward(self, images: Tensor) -> Output:
        features = self.norm(images.flatten(1))
        return Output(self.classifier(features), features)


class NoisyTarget(ToyTarget):
    """A stochastic target, as MID is officially: its logits differ at every forward."""

    stochastic = True

    def forward(self, images: Tensor) -> Output:
        output = super().forward(images)
        return output._replace(logits=output.logits + torch.randn_like(output.logits))


class ToyNet(Target):
    """The least network that every defence fits: two stages, a skip connection, a head."""

    head = ("classifier",)

    def __init__(self, num_classes: int, image_size: int = SIZE) -> None:
        super().__init__()
        self.num_classes, self.embedding_dim = num_classes, 7
        pixels = 3 * image_size**2
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 7), nn.BatchNorm1d(7))
        self.last = nn.Sequential(Residual(nn.Linear(7, 7), nn.Identity()), nn.ReLU())
        self.classifier = nn.Linear(7, num_classes)

    def embed(self, images: Tensor) -> Embedding:
        hidden = self.first(images)
        vector = self.last(hidden)
        return Embedding(vector, (hidden, vector))

    def stages(self) -> tuple[nn.Module, ...]:
        return self.first, self.last

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        return Output(self.classifier(vector), vector, hidden)


class ToyStudents(Target):
    """An ensemble of two toy targets."""

    def __init__(self, num_classes: int, image_size: int = SIZE) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.members = nn.ModuleList(ToyTarget(num_classes, image_size) for _ in range(2))

    def forward(self, images: Tensor) -> Output:
        logits = torch.stack(self.member_logits(images)).mean(dim=0)
        return Output(logits, logits)

    def member_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(member(images).logits for member in self.members)


class ToyPrior(Prior):
    """Batch normalisation, a class embedding, one linear layer and a sigmoid; a linear critic."""

    def __init__(self, num_classes: int = 3, latent_dim: int = 5, image_size: int = SIZE) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.shape = (3, image_size, image_size)
        pixels = 3 * image_size**2
        self.norm = nn.BatchNorm1d(latent_dim)
        self.shift = nn.Embedding(num_classes, latent_dim)
        self.linear = nn.Linear(latent_dim, pixels)
        self.critic = nn.Linear(pixels, 1)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        x: Tensor = self.linear(self.norm(latents) + self.shift(labels)).sigmoid()
        return x.view(-1, *self.shape)

    def realism(self, images: Tensor, labels: Tensor) -> Tensor:
        score: Tensor = self.critic(images.flatten(1)).squeeze(1)
        return score


class ToyBlockPrior(ToyPrior, BlockPrior):
    """A toy prior in two blocks: what its linear layer sees are the features that enter block 1."""

    num_blocks = 2

    def codes(self, latents: Tensor) -> Tensor:
        return latents

    def block(
        self, number: int, before: Features | None, codes: Tensor, labels: Tensor
    ) -> Features:
        if before is None:
            return Features((self.norm(codes) + self.shift(labels))[:, :, None, None])
        x: Tensor = self.linear(before.maps.flatten(1)).sigmoid()
        return Features(x.view(-1, *self.shape))

    def shown(self, last: Features) -> Tensor:
        return last.maps


class ToyStylePrior(ToyBlockPrior, StylePrior):
    """A toy prior whose one layer takes the latents themselves for its style code."""

    num_styles = 1

    def __init__(self, num_classes: int = 3, latent_dim: int = 5, image_size: int = SIZE) -> None:
        super().__init__(num_classes, latent_dim, image_size)
        self.style_dim, self.favourites = latent_dim, 4
        self.shift.weight.data.zero_()  # no class of an image stands in a style code
        self.register_buffer("asked", torch.randn(num_classes, self.favourites, latent_dim))

    def styles(self, latents: Tensor, psi: float, cutoff: int | None) -> Tensor:
        del cutoff
        return psi * latents[:, None]

    def candidates(self, labels: Tensor, ranks: Tensor) -> Tensor:
        asked: Tensor = self.asked
        return self.styles(asked[labels, ranks], 1.0, None)

    def paint(self, styles: Tensor) -> Tensor:
        codes = styles[:, 0]
        return ToyPrior.forward(self, codes, torch.zeros(len(codes), dtype=torch.int64))


def seeded(
    cls: type[Any], *args: Any, seed: int = 0, statistics: bool = True, **kwargs: Any
) -> Any:
    """`cls(*args)` with initial weights, and random running statistics, of a stream of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = cls(*args, **kwargs)
        for part in module.modules():
            if statistics and isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(0.3, 0.1)
                part.running_var.uniform_(0.1, 0.4)
    return module


def faces(per_class: int, num_classes: int, seed: int, size: int = SIZE) -> Labelled:
    """Noisy squares, one fixed random pattern a class; classes in turn."""
    patterns = uniform(num_classes, 3, size, size, seed=99)
    labels = torch.arange(num_classes).repeat(per_class)
    noisy = 0.6 * patterns[labels] + 0.4 * uniform(len(labels), 3, size, size, seed=seed)
    return Labelled((noisy * 255).to(torch.uint8), labels)


def private(num_classes: int, size: int = SIZE) -> dict[str, Tensor]:
    """The content of a private.pt: ten images a class to train on, four to select, five to test."""
    content = {"identities": torch.arange(num_classes)}
    for seed, (part, count) in enumerate({"train": 10, "val": 4, "test": 5}.items()):
        data = faces(count, num_classes, seed, size)
        content |= {f"{part}_images": data.images, f"{part}_labels": data.labels}
    return content


def plan(**changes: Any) -> ClassifierTraining:
    fields: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 8,
        "optimizer": "sgd",
        "lr": 0.05,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "milestones": (3,) if changes.get("epochs", 4) > 3 else (),
        "decay": 0.1,
        "flip": True,
        "select": "val",
        "precision": "fp32",
        "keep_every": 1,
    }
    return ClassifierTraining(**(fields | changes))


class Interrupted(Scratch):
    """A scratch whose training is killed when it logs a certain epoch."""

    def __init__(self, inner: Scratch, at: int) -> None:
        vars(self).update(vars(inner))
        self.at = at

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        if step == self.at:
            raise KeyboardInterrupt
        super().log(metrics, step)


def same_state(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two state dictionaries are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(v, other[k]) for k, v in one.items())


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
