"""NVIDIA's StyleGAN2 files to initial weights, without running any code of theirs.

Their pickles hold Python source, which the official loader executes, and name functions that
build the networks. Here an unpickler knows the few names that such a file needs, makes inert nodes
of them, and refuses every other name.
"""

from __future__ import annotations

import collections
import io
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import file_digest
from trapmid.nets.stylegan2 import Generator, Size

LICENCE = "NVIDIA Source Code License for StyleGAN2 with ADA: non-commercial use"

_UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
_MOST_LAYERS = 64  # of a mapping; NVIDIA's have eight


class Converted(NamedTuple):
    """What a file of NVIDIA's holds, as the prior `style` takes it."""

    size: Size
    parameters: int
    digest: str  # SHA-256 of the new file, hexadecimal


def convert(source: Path, destination: Path) -> Converted:
    """Writes the averaged generator (`G_ema`) of an NVIDIA pickle as initial weights.

    The file holds `state`, weights by the names of `priors.style`, and beside it the size, the
    digest of the source and the licence.

    Raises:
        CheckpointError: the source is missing, damaged or no StyleGAN2; it names what such a file
            does not need; its weights are not what its own size says; or it is the destination.
    """
    if destination.exists() and source.exists() and destination.samefile(source):
        raise CheckpointError(
            f"{destination}: is read, so it cannot be written; give --out another name"
        )
    network = _network(source)
    with _reading(source):
        size = _size(source, network.attributes)
        state = dict(_tensors(source, "", network))
        with torch.device("meta"):
            wanted = Generator(size)
        _check(source, state, wanted)
    content = {
        "state": {f"generator.{name}": value.float() for name, value in state.items()},
        "size": vars(size),
        "source_sha256": file_digest(source),
        "licence": LICENCE,
    }
    checkpoints.check_finite(source, state)
    checkpoints.save(destination, content)
    parameters = sum(p.numel() for p in wanted.parameters())
    return Converted(size, parameters, file_digest(destination))


def block(size: Size) -> str:
    """What of a block of `priors.style` follows from the size, as YAML."""
    clamp = "null" if size.clamp is None else size.clamp
    return (
        f"{{latent_dim: {size.z_dim}, base: {size.base}, most: {size.most}, "
        f"layers: {size.layers}, clamp: {clamp}, generated: {size.image_size}, critic: false, "
        "steps: 0}"
    )


class _Node:
    """An object of the file: its class by name and its attributes; nothing of it is run."""

    def __init__(self, meta: Mapping[str, Any]) -> None:
        self.class_name = str(meta["class_name"])
        self.attributes: dict[str, Any] = dict(meta["state"])


class _Unpickler(pickle.Unpickler):
    """Knows the names of `_KNOWN` and the storage types; every other one is refused."""

    def __init__(self, stream: io.BytesIO, path: Path) -> None:
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise CheckpointError(
                f"{self._path}: names {module}.{name}, which a StyleGAN2 file does not need"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointError(f"{self._path}: refers to something outside itself")


def _storage(content: bytes) -> Any:
    """A storage from torch's legacy format, by torch's own loader of weights alone."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> Tensor:
    del rest  # whether it wants a gradient, and hooks
    tensor: Tensor = torch._utils._rebuild_tensor(storage, offset, size, stride)
    return tensor


def _parameter(data: Tensor, *rest: Any) -> Tensor:
    del rest
    return data


class _Dtype:
    """The name of a numpy type, e.g. f8."""

    def __init__(self, name: str, *rest: Any) -> None:
        del rest
        if not _NUMBER.fullmatch(name):
            raise ValueError(f"{name!r} is no type of numbers")
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """Byte order and flags, of which a number needs none."""


def _scalar(dtype: _Dtype, content: bytes) -> float:
    """A number that numpy pickled; layers keep their gains as such."""
    return float(np.frombuffer(content, dtype.name, count=1)[0])


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes, as pickles of Python 2's protocol have them."""
    del encoding
    return text.encode("latin1")


_NUMBER = re.compile("[fiub][1248]")
_KNOWN: dict[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Node,
    ("dnnlib.util", "EasyDict"): dict,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}


def _network(source: Path) -> _Node:
    """The averaged generator, as the file tells it."""
    try:
        stream = io.BytesIO(source.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{source}: no such file") from None
    except OSError as error:
        raise CheckpointError(f"{source}: cannot be read ({error.strerror})") from None
    with _reading(source):
        content = _Unpickler(stream, source).load()
    network = content.get("G_ema") if isinstance(content, dict) else None
    if not isinstance(network, _Node) or network.class_name != "Generator":
        raise CheckpointError(f"{source}: holds no StyleGAN2 generator under 'G_ema'")
    return network


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Whatever a damaged or made-up file leads to inside the block, as one line."""
    try:
        yield
    except CheckpointError:
        raise
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise CheckpointError(f"{source}: no pickle of NVIDIA's ({reason})") from None


def _size(source: Path, attributes: Mapping[str, Any]) -> Size:
    """What the generator was built with.

    Raises:
        CheckpointError: it has classes, another number of colours, or sizes that are none.
    """
    given = dict(attributes.get("_init_kwargs", {}))
    mapping, synthesis = given.get("mapping_kwargs", {}), given.get("synthesis_kwargs", {})
    if mapping.get("lr_multiplier", 0.01) != 0.01 or given.get("z_dim") != given.get("w_dim"):
        raise CheckpointError(f"{source}: must have NVIDIA's mapping: z as wide as w, rate 0.01")
    if given.get("c_dim") or given.get("img_channels") != 3:
        raise CheckpointError(f"{source}: must be unconditional and of three colours")
    layers = int(mapping.get("num_layers", 8))
    if not 1 <= layers <= _MOST_LAYERS:
        raise CheckpointError(f"{source}: its mapping has {layers} layers")
    try:
        return Size(
            image_size=int(given["img_resolution"]),
            z_dim=int(given["z_dim"]),
            w_dim=int(given["w_dim"]),
            base=int(synthesis.get("channel_base", 32768)),
            most=int(synthesis.get("channel_max", 512)),
            layers=layers,
            clamp=None if (bound := synthesis.get("conv_clamp")) is None else float(bound),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: its size is unknown ({error})") from None


def _tensors(source: Path, prefix: str, node: _Node) -> list[tuple[str, Tensor]]:
    """Weights and buffers below `node`, by their dotted names."""
    found: list[tuple[str, Tensor]] = []
    for kind in ("_parameters", "_buffers"):
        for name, value in node.attributes.get(kind, {}).items():
            if isinstance(value, Tensor):
                found.append((f"{prefix}{name}", value.detach()))
    for name, part in node.attributes.get("_modules", {}).items():
        if not isinstance(part, _Node):
            raise CheckpointError(f"{source}: {prefix}{name} is no module")
        found += _tensors(source, f"{prefix}{name}.", part)
    return found


def _check(source: Path, state: Mapping[str, Tensor], wanted: Generator) -> None:
    """Refuses weights that are not, name by name and shape by shape, those of `wanted`."""
    shapes = {name: value.shape for name, value in wanted.state_dict().items()}
    if missing := shapes.keys() - state.keys():
        raise CheckpointError(f"{source}: {len(missing)} weights missing, first {min(missing)}")
    if unknown := state.keys() - shapes.keys():
        raise CheckpointError(f"{source}: {len(unknown)} weights unknown, first {min(unknown)}")
    for name, shape in shapes.items():
        if state[name].shape != shape:
            found = tuple(state[name].shape)
            raise CheckpointError(f"{source}: {name} is {found}, must be {tuple(shape)}")
