"""Published priors: generators, and their critics."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from trapmid.artifacts import nvidia
from trapmid.foreign import names
from trapmid.foreign.kind import Facts, Kind
from trapmid.foreign.names import State
from trapmid.nets import dcgan, minibatch, snresnet, stylegan2


def _from_flat(flat: int, channels: int, doublings: int) -> int:
    """The side of an image that grows from `flat` numbers, `channels` for each first pixel."""
    return int(math.isqrt(flat // channels) * 2**doublings)


def _dcgan_facts(prior: str) -> Callable[[State], Facts]:
    def facts(state: State) -> Facts:
        flat, latent_dim = state["stem.0.weight"].shape
        convs = [v for k, v in state.items() if k.startswith("body.") and v.dim() == 4]
        return {
            "prior": prior,
            "latent_dim": latent_dim,
            "image_size": _from_flat(flat, state["body.0.weight"].shape[0], len(convs)),
            "width": convs[-1].shape[0],
        }

    return facts


def _dcgan(prior: str, critic: str) -> Kind:
    return Kind(
        rules=names.GMI_GENERATOR,
        facts=_dcgan_facts(prior),
        network=lambda f: dcgan.Generator(f["latent_dim"], f["image_size"], f["width"]),
        prefix="generator.",
        rest=(critic,),
    )


def _gmi_critic_facts(state: State) -> Facts:
    convs = [v for k, v in state.items() if k.startswith("body.") and v.dim() == 4]
    side = state["head.weight"].shape[-1] * 2 ** len(convs)
    return {"prior": "gmi", "image_size": side, "width": len(convs[0])}


def _kedmi_facts(state: State) -> Facts:
    convs = [v for k, v in state.items() if k.startswith("body.") and v.dim() == 4]
    flat = state["closeness.kernels"].shape[0]
    return {
        "prior": "kedmi",
        "num_classes": len(state["head.weight"]),
        "image_size": _from_flat(flat, len(convs[-1]), len(convs)),
        "width": len(convs[0]),
    }


def _plgmi_facts(state: State) -> Facts:
    flat, latent_dim = state["linear.weight"].shape
    blocks = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    first = state["blocks.0.conv1.weight"].shape[1]
    return {
        "prior": "plgmi",
        "latent_dim": latent_dim,
        "num_classes": len(state["blocks.0.norm1.gain.weight"]),
        "image_size": _from_flat(flat, first, len(blocks)),
        "doublings": len(blocks),
        "width": state["to_rgb.weight"].shape[1],
    }


_EMBEDDED = "embedding.parametrizations.weight.original"


def _plgmi_critic_facts(state: State) -> Facts:
    """It sums over pixels, so it takes every size with as many doublings."""
    blocks = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    return {
        "prior": "plgmi",
        "num_classes": len(state[_EMBEDDED]),
        "doublings": len(blocks) - 1,
        "width": len(state["blocks.0.conv1.bias"]),
    }


def _style_facts(state: State) -> Facts:
    """`clamp` is in no weight: NVIDIA's released trainings have 256."""
    layers = {name.split(".")[1] for name in state if name.startswith("mapping.fc")}
    channels = {
        int(name.split(".")[1].removeprefix("b")): len(value)
        for name, value in state.items()
        if name.endswith("conv1.bias")
    }
    side, width = max(channels), len(state["mapping.w_avg"])
    size = stylegan2.Size(
        image_size=side,
        z_dim=width,
        w_dim=width,
        base=side * channels[side],
        most=channels[stylegan2.SMALLEST],
        layers=len(layers),
        clamp=256.0,
    )
    return {"prior": "style", "size": vars(size)}


def block(content: Mapping[str, Any]) -> str:
    """What a row sets of its block for a generator of others, as YAML."""
    size = content.get("size")
    return "{steps: 0}" if size is None else nvidia.block(stylegan2.Size(**size))


PRIORS = {
    "style-g": Kind(
        rules=names.STYLEGAN2,
        facts=_style_facts,
        network=lambda f: stylegan2.Generator(stylegan2.Size(**f["size"])),
        prefix="generator.",
    ),
    "gmi-g": _dcgan("gmi", "gmi-d"),
    "gmi-d": Kind(
        rules=names.GMI_CRITIC,
        facts=_gmi_critic_facts,
        network=lambda f: dcgan.Critic(f["image_size"], f["width"]),
        prefix="critic.",
        rest=("gmi-g",),
    ),
    "kedmi-g": _dcgan("kedmi", "kedmi-d"),
    "kedmi-d": Kind(
        rules=names.KEDMI_DISCRIMINATOR,
        facts=_kedmi_facts,
        network=lambda f: minibatch.ClassDiscriminator(
            f["num_classes"], f["image_size"], f["width"]
        ),
        prefix="discriminator.",
        rest=("kedmi-g",),
    ),
    "plgmi-g": Kind(
        rules=names.PLGMI_GENERATOR,
        facts=_plgmi_facts,
        network=lambda f: snresnet.Generator(
            f["latent_dim"], f["num_classes"], f["image_size"], f["width"]
        ),
        prefix="generator.",
        rest=("plgmi-d",),
    ),
    "plgmi-d": Kind(
        rules=names.PLGMI_CRITIC,
        facts=_plgmi_critic_facts,
        network=lambda f: snresnet.ProjectionDiscriminator(
            f["num_classes"], 4 * 2 ** f["doublings"], f["width"]
        ),
        prefix="critic.",
        rest=("plgmi-g",),
    ),
}
"""Generators and critics: a row takes a pair of them."""
