"""Published classifiers, their bottlenecks and students, and the trunks that they begin with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn
from torchvision.models import vgg16_bn

from trapmid import wiring
from trapmid.foreign import names
from trapmid.foreign.kind import Facts, Kind
from trapmid.foreign.names import Rules, State
from trapmid.nets.irse import IR50, IR152, IrNetwork


def whole_classifier(facts: Mapping[str, Any], image_size: int) -> nn.Module:
    """The network that a file of a classifier is about, with the bottleneck that it has."""
    network = wiring.target(facts["arch"])(facts["num_classes"], image_size)
    if (adapted := facts.get("adapted")) is None:
        return network
    return wiring.defense(adapted["method"], adapted["block"], "adapted").adapt(network)


def _classifier(arch: str, rules: Rules, size: Callable[[State], Facts]) -> Kind:
    def facts(state: State) -> Facts:
        return {"arch": arch, "num_classes": len(state["classifier.weight"]), **size(state)}

    return Kind(rules=rules, facts=facts, network=_sized)


def _sized(facts: Facts) -> nn.Module:
    return whole_classifier(facts, facts.get("image_size", 64))


def _any_size(state: State) -> Facts:
    del state
    return {}


def _vgg16(weight: str, channel: int) -> Callable[[State], Facts]:
    """Of the 512 channels times (S / 32)^2 pixels that `weight` has along an axis."""
    return lambda state: {"image_size": 32 * math.isqrt(state[weight].shape[channel] // 512)}


def _ir(weight: str) -> Callable[[State], Facts]:
    """Of the 512 channels times (S / 16)^2 pixels that the output layer sees."""
    return lambda state: {"image_size": 16 * math.isqrt(state[weight].shape[1] // 512)}


def _mid(size: Callable[[State], Facts]) -> Callable[[State], Facts]:
    """MID's bottleneck: its width, and the noise of the official code in eval mode."""

    def facts(state: State) -> Facts:
        width = state["classifier.weight"].shape[1]
        block = {"weight": 0.003, "width": width, "noise": "fresh"}
        return {**size(state), "adapted": {"method": "mid", "block": block}}

    return facts


def _of_timm(arch: str) -> Kind:
    """A network of the high-resolution track, as PPA's code saves it."""
    kind = _classifier(arch, names.OF_TIMM, _any_size)
    return replace(kind, own_buffers=("input.transform",))


def _student(index: int) -> Kind:
    def facts(state: State) -> Facts:
        return {"arch": "efficientnets", "num_classes": len(state["classifier.weight"])}

    def network(found: Facts) -> nn.Module:
        members: Any = wiring.target("efficientnets")(found["num_classes"], 64).members
        member: nn.Module = members[index]
        return member

    others = tuple(f"efficientnet-b{i}" for i in range(3) if i != index)
    prefix = f"members.{index}."
    return Kind(rules=names.EFFICIENTNET, facts=facts, network=network, prefix=prefix, rest=others)


_HIGH_RESOLUTION = ("resnet152", "resnest101", "densenet169", "inception_v3")

CLASSIFIERS = {
    "vgg16": _classifier("vgg16", names.VGG16, _vgg16("norm.weight", 0)),
    "vgg16-bido": _classifier("vgg16", names.VGG16_BIDO, _vgg16("norm.weight", 0)),
    "vgg16-mid": _classifier("vgg16", names.VGG16_MID, _mid(_vgg16("code.weight", 1))),
    "facenet64": _classifier("facenet64", names.ir(IR50), _ir("output.3.weight")),
    "facenet64-mid": _classifier(
        "facenet64", names.ir_mid(IR50), _mid(_ir("trunk.output.3.weight"))
    ),
    "ir152": _classifier("ir152", names.ir(IR152), _ir("output.3.weight")),
    "ir152-mid": _classifier("ir152", names.ir_mid(IR152), _mid(_ir("trunk.output.3.weight"))),
    "facenet112": _classifier(
        "facenet112", names.ir(IR50, output="feature.output_layer"), _any_size
    ),
    "ir18": _classifier("ir18", names.IR18, _any_size),
    **{f"efficientnet-b{i}": _student(i) for i in range(3)},
    **{f"ppa-{arch}": _of_timm(arch) for arch in _HIGH_RESOLUTION},
}
"""Finished classifiers: a row takes them whole."""


def _backbone(units: tuple[int, ...], archs: str) -> Kind:
    def network(facts: Facts) -> nn.Module:
        whole = IrNetwork(1, facts["trained_at"], units=units)
        whole.classifier = nn.Identity()  # type: ignore[assignment]
        return whole

    def facts(state: State) -> Facts:
        return {"start_of": archs, "trained_at": _ir("output.3.weight")(state)["image_size"]}

    return Kind(rules=names.backbone(units), facts=facts, network=network, own_names=True)


STARTS = {
    "tv-vgg16-bn": Kind(
        rules=names.TORCHVISION_VGG16,
        facts=lambda state: {"start_of": "vgg16", "trained_at": 224},
        network=lambda facts: vgg16_bn(weights=None).features,
        prefix="features.",
    ),
    "ms1m-ir50": _backbone(IR50, "facenet64, facenet112"),
    "ms1m-ir152": _backbone(IR152, "ir152"),
}
"""Trunks of classifiers of other things: a row begins with them."""
