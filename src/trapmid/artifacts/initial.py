"""Where a network starts: files of weights from anywhere, and the words that stand for no file."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import file_digest
from trapmid.types import Target, Trapdoor

RANDOM, TORCHVISION, NONE = "random", "torchvision", "none"

PROGRAM = "exported"
"""The module of `trapmid.targets` that takes a whole network and no weights."""

_WRAPPERS = (  # in this order, as trainers save
    *("state", "state_dict", "model_state_dict"),
    *("model", "net", "network"),
)
_TIMM = re.compile(r"timm (\S+)")  # a name of timm with its tag, e.g. resnet152.tv2_in1k
_EMA = re.compile(r"ema", re.IGNORECASE)  # an average of the weights beside them
_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""


def initial_state(path: Path) -> Mapping[str, Tensor] | str:
    """The weights file `path`, or the word in it that stands for a choice without a file.

    `weights/random` and `weights/torchvision` are one-word text files, so that a random start is
    a dependency that somebody chose, never a silent fall-back; `weights/timm/NAME.TAG` holds `timm
    NAME.TAG`. Of a file that holds more than a state, the entry `state`, `state_dict`,
    `model_state_dict`, `model`, `net` or `network` is taken, and a line says so where the file has
    averaged weights (EMA), too. `module.` and `_orig_mod.` before every name go.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no weights.
    """
    word = _word(path)
    return word if word is not None else state_in(path, checkpoints.load_foreign(path))


def files(path: Path) -> list[Path]:
    """The file `path`, and the one in the local cache that it stands for, where there is such."""
    tag = _TIMM.fullmatch(_short_text(path))
    cached = _in_cache(tag[1]) if tag else None
    return [path] if cached is None else [path, cached]


def sources(path: Path) -> dict[str, str]:
    """Of a lineage: SHA-256 of the file `path`, and as `weights` that of the file it stands for."""
    digests = [file_digest(file) for file in files(path)]
    return dict(zip(("init", "weights"), digests, strict=False))


def is_none(path: Path) -> bool:
    """Whether `path` is weights/none, the word that stands for a file left out by choice."""
    return _short_text(path) == NONE


def is_word(path: Path) -> bool:
    """Whether `path` holds a word that stands for weights, and none."""
    return _word(path) is not None


def _word(path: Path) -> str | None:
    word = _short_text(path)
    return word if word in (RANDOM, TORCHVISION) or _TIMM.fullmatch(word) else None


def _short_text(path: Path) -> str:
    """The words in a file too short for weights; empty: it is longer, or not there."""
    if not path.is_file() or path.stat().st_size >= 64:
        return ""
    return path.read_text(encoding="utf-8", errors="replace").strip()


def state_in(path: Path, content: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The state of the network in the content of the file `path`, see `initial_state`.

    Raises:
        CheckpointError: there is none, or a weight is not finite.
    """
    state = _unwrapped(path, content)
    while prefix := next((p for p in _PREFIXES if all(k.startswith(p) for k in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    checkpoints.check_finite(path, state)
    return state


def entry(content: Mapping[str, Any]) -> str | None:
    """Where the state of the network stands in the content of a file; None: alone."""
    return next((k for k in _WRAPPERS if isinstance(content.get(k), Mapping)), None)


def _unwrapped(path: Path, content: Mapping[str, Any]) -> Mapping[str, Tensor]:
    key = entry(content)
    state: Mapping[str, Any] = content if key is None else content[key]
    others = [str(k) for k, v in content.items() if isinstance(v, Mapping)]
    if averaged := [k for k in others if key is not None and _EMA.search(k)]:
        print(f"{path}: took {key!r}, not {', '.join(map(repr, averaged))}", file=sys.stderr)
    strange = [str(k) for k, value in state.items() if not isinstance(value, Tensor)]
    if strange or not state:
        found = ", ".join(sorted(strange)[:5]) or "nothing"
        raise CheckpointError(
            f"{path}: must hold a network's state, tensors by name, alone or under one of "
            f"{', '.join(_WRAPPERS)}; holds {found}"
        )
    if wrong := [k for k in state if not isinstance(k, str)]:
        kind = type(wrong[0]).__name__
        raise CheckpointError(
            f"{path}: the key {wrong[0]!r} is of type {kind}; weights are named by texts"
        )
    return state


def is_program(path: Path) -> bool:
    """Whether `path` is of a kind that holds a whole network, see `programs.KINDS`."""
    return path.suffix in (".pt2", ".py") or path.is_dir()


def start(network: Target, arch: str, init: Path, image_size: int) -> None:
    """Gives a network of `targets/<arch>.py` the weights that `init` names, in place.

    Args:
        image_size: S of the images that it is going to be asked about.

    Raises:
        CheckpointError: the file cannot be used, does not fit, or cannot be fetched.
        ValueError: torchvision has no weights for it, or timm none of that name.
    """
    if is_program(init):
        _take_program(network, arch, init, image_size)
        return
    state = initial_state(init)
    if state == TORCHVISION:
        state = _of_torchvision(network, arch, init)
    elif isinstance(state, str) and (tag := _TIMM.fullmatch(state)):
        state = _of_timm(tag[1], network, arch, init)
    if isinstance(state, str):
        return
    try:
        network.start_from(state)
    except RuntimeError as error:
        raise CheckpointError(f"{init}: does not fit {arch}: {checkpoints.misfit(error)}") from None


def _take_program(network: Target, arch: str, path: Path, image_size: int) -> None:
    from trapmid.artifacts import programs  # torch.export costs a second that most do not need

    if arch != PROGRAM:
        why = f"a program, which arch {PROGRAM} asks; {arch} is a network of its own"
        raise CheckpointError(f"{path}: {why}")
    state = programs.state_of(path, image_size)
    try:
        network.start_from(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: {error}") from None


def take(
    path: Path,
    arch: str,
    image_size: int,
    adapted: Mapping[str, Any] | None,
    network: Target,
    trapdoor: Trapdoor | None,
) -> None:
    """Gives a network everything that the file `path` holds, its head, too, in place.

    Args:
        path: a checkpoint of a study, what `trapmid import` wrote, or a bare state in our names.
        arch: module of `trapmid.targets` from which `network` was made.
        image_size: what it was made for.
        adapted: the method and the block by which the row's defence alters it; None: none does.
        network: altered by it.
        trapdoor: gets the triggers, and the masks, that the file has; None: there is none.

    Raises:
        CheckpointError: the file cannot be used, holds another network or one that another
            defence altered, or no triggers, or those of another alpha.
    """
    if (word := _word(path)) is not None:
        raise CheckpointError(f"{path}: {word!r} is no finished network; name a file of weights")
    if is_program(path):
        _take_program(network, arch, path, image_size)
        return
    content = checkpoints.load_foreign(path)
    made_for = {"arch": arch, "num_classes": network.num_classes, "image_size": image_size}
    for key, wanted in made_for.items():
        if content.get(key, wanted) != wanted:
            raise CheckpointError(f"{path}: {key} is {content[key]!r}, the row's is {wanted!r}")
    if "adapted" in content:
        _check_adapted(path, content["adapted"], adapted)
    state = state_in(path, content)
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: does not fit {arch}: {checkpoints.misfit(error)}") from None
    if trapdoor is not None:
        _take_triggers(path, content.get("trapdoor") or {}, trapdoor)


def _check_adapted(
    path: Path, saved: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None
) -> None:
    """A defence may alter what a network computes, and no name of a weight."""
    has, row = (one["method"] if one else "none" for one in (saved, wanted))
    if has != row:
        raise CheckpointError(f"{path}: the method that altered its network is {has}, not {row}")
    if saved and wanted:
        for key, value in wanted["block"].items():
            if saved["block"].get(key, value) != value:
                raise CheckpointError(
                    f"{path}: {has}.{key} is {saved['block'][key]!r}, the row's is {value!r}; "
                    "`set` of the row may say so"
                )


def _take_triggers(path: Path, saved: Mapping[str, Any], trapdoor: Trapdoor) -> None:
    checkpoints.check_finite(path, saved)
    alpha = float(trapdoor.alpha)
    if not math.isclose(saved.get("alpha", alpha), alpha, rel_tol=1e-6):
        raise CheckpointError(
            f"{path}: its triggers have alpha {saved['alpha']:g}, those of the row {alpha:g}; "
            "`set` of the row may say so"
        )
    for name, own in (("triggers", trapdoor.triggers), ("masks", trapdoor.masks)):
        if own is None:
            continue
        value = saved.get(name)
        if not isinstance(value, Tensor) or value.shape != own.shape:
            found = tuple(value.shape) if isinstance(value, Tensor) else "nothing"
            raise CheckpointError(
                f"{path}: the trapdoor needs {name} {tuple(own.shape)}, the file has {found}"
            )
        own.copy_(value)


def _of_torchvision(network: Target, arch: str, init: Path) -> Mapping[str, Tensor]:
    if not network.torchvision_weights:
        raise ValueError(f"init: torchvision has no weights for {arch}; use weights/random")
    from torchvision.models import get_weight  # costs a second that most starts do not need

    states = []
    for name in network.torchvision_weights:
        weights = get_weight(name)
        try:
            states.append(weights.get_state_dict(check_hash=True))
        except (OSError, RuntimeError) as error:  # no network; a download whose hash is wrong
            place, why = Path(torch.hub.get_dir()) / "checkpoints", " ".join(str(error).split())
            raise CheckpointError(
                f"init: {init} for {arch}: {weights.url} cannot be fetched ({why}); put the file "
                f"into {place}, or use weights/random"
            ) from None
    # Of an ensemble: the weights of member i are called i.<name>.
    several = {f"{i}.{key}": v for i, one in enumerate(states) for key, v in one.items()}
    return states[0] if len(states) == 1 else several


def _of_timm(tag: str, network: Target, arch: str, init: Path) -> Mapping[str, Tensor]:
    """Weights from the local cache of the Hugging Face hub: no stage waits for a network."""
    known: tuple[str, ...] = getattr(network, "timm_weights", ())
    if tag not in known:
        choices = ", ".join(known) or "none; use weights/random"
        raise ValueError(f"init: {init}: {tag} does not fit {arch}; timm's weights: {choices}")
    from safetensors.torch import load_file  # comes with timm

    file = _in_cache(tag)
    if file is None:
        raise CheckpointError(
            f"init: {init} for {arch}: timm/{tag} is not in the local cache; `hf download "
            f"timm/{tag} model.safetensors` puts it there, or use weights/random"
        )
    state: dict[str, Tensor] = load_file(file)
    checkpoints.check_finite(file, state)
    print(f"{init}: timm/{tag} of SHA-256 {file_digest(file)}", file=sys.stderr)
    return state


def _in_cache(tag: str) -> Path | None:
    """The weights of timm/`tag` in the local cache of the Hugging Face hub; None: not there."""
    try:
        from huggingface_hub import try_to_load_from_cache  # comes with timm
    except ModuleNotFoundError:  # whoever builds a network of timm says so
        return None
    file = try_to_load_from_cache(f"timm/{tag}", "model.safetensors")
    return Path(file) if isinstance(file, str) else None
