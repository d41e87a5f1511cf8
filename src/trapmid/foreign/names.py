"""The names of weights in published checkpoints, and what they are called here.

Patterns are of whole names, without `module.`. The names are those of the official code of
Trap-MID, PLG-MI, GMI, KED-MI, BiDO, MID and LOMMA, of face.evoLVe, torchvision, facenet-pytorch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

State = Mapping[str, Tensor]
Name = str | Callable[[re.Match[str]], str]
Rules = tuple[tuple[str, Name | None], ...]
"""Pairs of a pattern and our name, in order; None: what we have no place for is left out."""


class UnknownNamesError(ValueError):
    """Names that no rule knows; the message says how many, and the first."""


def translated(state: State, rules: Rules) -> dict[str, Tensor]:
    """`state` under our names.

    Raises:
        UnknownNamesError: a name matches no rule.
        ValueError: two names are one weight here.
    """
    ours: dict[str, Tensor] = {}
    unknown = []
    for name, value in state.items():
        for pattern, becomes in rules:
            if (found := re.fullmatch(pattern, name)) is not None:
                if becomes is not None:
                    own = found.expand(becomes) if isinstance(becomes, str) else becomes(found)
                    if own in ours:
                        raise ValueError(f"{name} and another name are the same weight, {own}")
                    ours[own] = value
                break
        else:
            unknown.append(name)
    if unknown:
        raise UnknownNamesError(f"{len(unknown)} weights unknown, first {unknown[0]}")
    return ours


# --- classifiers --------------------------------------------------------------------------------

_HEAD = (r"fc_layer\.(weight|bias)", r"classifier.\1")
_CODE = (r"st_layer\.(weight|bias)", r"code.\1")
_NORM = (r"bn\.(.+)", r"norm.\1")

VGG16: Rules = ((r"feature\.(.+)", r"features.\1"), _NORM, _HEAD)
VGG16_MID: Rules = ((r"feature\.(.+)", r"trunk.features.\1"), _CODE, _HEAD)

_BLOCKS = (0, 7, 14, 24, 34)  # where the five blocks of VGG16 begin in torchvision's numbering


def _in_block(found: re.Match[str]) -> str:
    return f"features.{_BLOCKS[int(found[1]) - 1] + int(found[2])}.{found[3]}"


VGG16_BIDO: Rules = ((r"layer([1-5])\.(\d+)\.(.+)", _in_block), _NORM, _HEAD)

TORCHVISION_VGG16: Rules = ((r"features\.(.+)", r"\1"), (r"classifier\..+", None))

_LAYERS = {"0": "conv1", "1": "bn1"} | {str(i + 3): f"layer{i}" for i in (1, 2, 3, 4)}
IR18: Rules = (
    (r"feature\.([014567])\.(.+)", lambda found: f"trunk.{_LAYERS[found[1]]}.{found[2]}"),
    _HEAD,
)


_WRAPPED = r"(?:model\.)?(?:_orig_mod\.)?"  # PPA's Classifier around a network, compiled or not

OF_TIMM: Rules = (
    (rf"{_WRAPPED}AuxLogits\..+", None),
    (rf"{_WRAPPED}(?:fc|classifier)\.(weight|bias)", r"classifier.\1"),
    (rf"{_WRAPPED}((?:conv1|bn1|layer\d|features|Conv2d_\w+|Mixed_\w+)\..+)", r"network.\1"),
)
"""torchvision's names of ResNet, DenseNet and Inception-v3 and those of the ResNeSt authors: timm
has the same, but for the last layer. The auxiliary head has no place here."""

EFFICIENTNET: Rules = (  # a student of LOMMA's, or torchvision's own file
    (r"feature\.0\.(\d+\.\d+\..+)", r"features.blocks.\1"),
    (r"features?\.(.+)", r"features.blocks.\1"),
    (r"(?:fc_layer|classifier\.1)\.(weight|bias)", r"classifier.\1"),
)


def backbone(units: tuple[int, ...]) -> Rules:
    """face.evoLVe's IR network: units per stage; its units are counted through."""
    return _ir(units, "", "", "output_layer")


def ir(units: tuple[int, ...], *, output: str = "output_layer") -> Rules:
    """The official classifier on such a network; `output` is what its output layer is called."""
    return (*_ir(units, "feature.", "", output), _HEAD)


def ir_mid(units: tuple[int, ...]) -> Rules:
    """The official bottleneck on such a network; the head of IR-152's stands before a softmax."""
    head = (r"fc_layer\.(?:0\.)?(weight|bias)", r"classifier.\1")
    return (*_ir(units, "feature.", "trunk.", "output_layer"), _CODE, head)


def _ir(units: tuple[int, ...], theirs: str, ours: str, output: str) -> Rules:
    places = [(stage, unit) for stage, count in enumerate(units) for unit in range(count)]
    parts = {"res_layer": "body", "shortcut_layer": "shortcut"}
    before = re.escape(theirs)

    def in_stage(found: re.Match[str]) -> str:
        number = int(found[1])
        stage, unit = places[number] if number < len(places) else (len(units), number)
        return f"{ours}body.{stage}.{unit}.{parts[found[2]]}.{found[3]}"

    return (
        (rf"{before}input_layer\.(.+)", rf"{ours}stem.\1"),
        (rf"{before}body\.(\d+)\.(res_layer|shortcut_layer)\.(.+)", in_stage),
        (rf"{re.escape(output)}\.(.+)", rf"{ours}output.\1"),
    )


# --- priors -------------------------------------------------------------------------------------

GMI_GENERATOR: Rules = (
    (r"l1\.([01])\.(.+)", r"stem.\1.\2"),
    (r"l2_5\.(\d+)\.([01])\.(.+)", lambda m: f"body.{3 * int(m[1]) + int(m[2])}.{m[3]}"),
    (r"l2_5\.(\d+)\.(weight|bias)", lambda m: f"body.{3 * int(m[1])}.{m[2]}"),
)
GMI_CRITIC: Rules = (
    (r"ls\.0\.(weight|bias)", r"body.0.\1"),
    (r"ls\.(\d+)\.([01])\.(.+)", lambda m: f"body.{3 * int(m[1]) - 4 + int(m[2])}.{m[3]}"),
    (r"ls\.\d+\.(weight|bias)", r"head.\1"),
)
KEDMI_DISCRIMINATOR: Rules = (
    (r"layer(\d+)\.([01])\.(.+)", lambda m: f"body.{3 * int(m[1]) - 3 + int(m[2])}.{m[3]}"),
    (r"mbd1\.T", "closeness.kernels"),
    (r"fc_layer\.(weight|bias)", r"head.\1"),
)

_STATISTICS = r"(running_mean|running_var|num_batches_tracked)"
PLGMI_GENERATOR: Rules = (
    (r"l1\.(.+)", r"linear.\1"),
    (
        rf"block(\d+)\.b([12])\.{_STATISTICS}",
        lambda m: f"blocks.{int(m[1]) - 2}.norm{m[2]}.norm.{m[3]}",
    ),
    (
        r"block(\d+)\.b([12])\.weights\.weight",
        lambda m: f"blocks.{int(m[1]) - 2}.norm{m[2]}.gain.weight",
    ),
    (
        r"block(\d+)\.b([12])\.biases\.weight",
        lambda m: f"blocks.{int(m[1]) - 2}.norm{m[2]}.bias.weight",
    ),
    (r"block(\d+)\.c([12])\.(.+)", lambda m: f"blocks.{int(m[1]) - 2}.conv{m[2]}.{m[3]}"),
    (r"block(\d+)\.c_sc\.(.+)", lambda m: f"blocks.{int(m[1]) - 2}.shortcut.{m[2]}"),
    (r"b\d+\.(.+)", r"norm.\1"),
    (r"conv\d+\.(.+)", r"to_rgb.\1"),
)

_NORMED = {"orig": "original", "bar": "original", "u": "0.u", "v": "0.v"}
_CRITIC = {"c1": "conv1", "c2": "conv2", "c_sc": "shortcut", "l_y": "embedding"}


def _in_critic(found: re.Match[str]) -> str:
    """A spectrally normed weight, in the words of torch's old hook or of the modules before it."""
    block, layer, leaf = found[1], found[2], found[3]
    place = f"blocks.{int(block) - 1}." if block else ""
    named = _CRITIC.get(layer, "linear")
    if leaf == "bias":
        return f"{place}{named}.bias"
    return f"{place}{named}.parametrizations.weight.{_NORMED[leaf.removeprefix('weight_')]}"


PLGMI_CRITIC: Rules = (
    (
        r"(?:block(\d+)\.)?(c1|c2|c_sc|l\d+|l_y)\.(?:module\.)?(bias|weight_(?:orig|bar|u|v))",
        _in_critic,
    ),
)

STYLEGAN2: Rules = ((r"(?:G_ema\.)?((?:mapping|synthesis)\..+)", r"\1"),)
"""NVIDIA's own names, which the network here has, too."""

# --- judges -------------------------------------------------------------------------------------

_STEM = ("1a", "2a", "2b", "3a", "3b", "4a", "4b")
_REPEATS = {"1": 7, "2": 13, "3": 24}  # where the three rows of units begin
_SINGLE = {"mixed_6a": 12, "mixed_7a": 23, "block8": 29}
_PARTS = {"conv": "0", "bn": "1"}


def _in_branch(found: re.Match[str]) -> str:
    repeat, unit, single, branch, layer, part, leaf = found.groups()
    number = _REPEATS[repeat] + int(unit) if repeat else _SINGLE[single]
    split = "" if single and single.startswith("mixed") else "split."
    return f"trunk.{number}.{split}branches.{branch}.{layer or 0}.{_PARTS[part]}.{leaf}"


def _in_mix(found: re.Match[str]) -> str:
    number = _REPEATS[found[1]] + int(found[2]) if found[1] else _SINGLE["block8"]
    return f"trunk.{number}.mix.{found[3]}"


FACENET: Rules = (
    (
        r"conv2d_(1a|2a|2b|3b|4a|4b)\.(conv|bn)\.(.+)",
        lambda m: f"trunk.{_STEM.index(m[1])}.{_PARTS[m[2]]}.{m[3]}",
    ),
    (
        r"(?:repeat_([123])\.(\d+)|(mixed_6a|mixed_7a|block8))"
        r"\.branch(\d)(?:\.(\d))?\.(conv|bn)\.(.+)",
        _in_branch,
    ),
    (r"(?:repeat_([123])\.(\d+)|block8)\.conv2d\.(weight|bias)", _in_mix),
    (r"last_linear\.weight", "linear.weight"),
    (r"last_bn\.(.+)", r"norm.\1"),
    (r"logits\.(weight|bias)", None),  # of VGGFace2's own people
)
