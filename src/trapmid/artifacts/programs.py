"""Models of other people's projects: files of `torch.export`, and Python files that make a network.

Whatever it was, it becomes a program (`nets/program.py`): a checkpoint then holds the model whole,
and no later stage runs anybody's code but torch's.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from trapmid.artifacts import checkpoints, initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.nets import program
from trapmid.nets.program import STATE, ProgramError

KINDS = "a .pt2 file of torch.export.save, a .py file, or a folder of one .py and one .pt"
_STATES = (".pt", ".pth", ".tar")
_MAKER = "build"


def state_of(path: Path, image_size: int) -> dict[str, Tensor]:
    """The state of `targets/exported` that holds the model of `path`."""
    content = bytearray(contents(path, image_size))
    return {STATE: torch.frombuffer(content, dtype=torch.uint8).clone()}


def contents(path: Path, image_size: int) -> bytes:
    """The bytes of a .pt2 file: those of `path`, or of the program that its Python file makes.

    Args:
        path: see `KINDS`. A Python file is run; the state beside it, in a folder, is loaded into
            its network strictly.
        image_size: S of the images for which a Python network is traced.

    Raises:
        CheckpointError: there is no such file, or no network can be made of it; one line.
    """
    if path.suffix == ".pt2" and path.is_file():
        return path.read_bytes()
    source, state = _parts(path)
    model = _made(source)
    if state is not None:
        _fill(model, state, source)
    try:
        return program.traced(model, image_size)
    except ProgramError as error:
        raise CheckpointError(f"{source}: {error}") from None


def _parts(path: Path) -> tuple[Path, Path | None]:
    """The Python file, and the state beside it where the path is a folder."""
    if path.is_file() and path.suffix == ".py":
        return path, None
    if not path.is_dir():
        raise CheckpointError(f"{path}: {'is no model' if path.exists() else 'no such'}: {KINDS}")
    sources = sorted(path.glob("*.py"))
    states = sorted(one for one in path.iterdir() if one.suffix in _STATES)
    if len(sources) != 1 or len(states) > 1:
        raise CheckpointError(
            f"{path}: must hold one .py and at most one of {', '.join(_STATES)}; holds "
            f"{len(sources)} and {len(states)}"
        )
    return sources[0], states[0] if states else None


def _made(source: Path) -> nn.Module:
    """The network that a Python file makes: by `build()`, or as its only class of `nn.Module`."""
    module = _imported(source)
    maker = _maker(module, source)
    try:
        model = maker()
    except (Exception, SystemExit) as error:  # it is another's code
        raise CheckpointError(f"{source}: {_said(maker.__name__, error)}") from None
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise CheckpointError(f"{source}: {maker.__name__}() returns {kind}, must return nn.Module")
    return model


def _imported(source: Path) -> ModuleType:
    name = f"trapmid_own_{source.stem}"
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for their module there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it is another's code
        raise CheckpointError(f"{source}: {_said('import', error)}") from None
    finally:
        del sys.modules[name]
    return module


def _maker(module: ModuleType, source: Path) -> Callable[[], object]:
    made = getattr(module, _MAKER, None)
    if callable(made):
        return made  # type: ignore[no-any-return]
    own = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, nn.Module) and kind.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(kind.__name__ for kind in own) or "none"
        raise CheckpointError(
            f"{source}: needs a function {_MAKER}() that returns the network, or one class of "
            f"nn.Module; it has {names}"
        )
    return own[0]


def _said(what: str, error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"{what} failed: it calls sys.exit({error.code!r}), which would end the audit"[:300]
    return f"{what} failed ({type(error).__name__}: {' '.join(str(error).split())})"[:300]


def _fill(model: nn.Module, state: Path, source: Path) -> None:
    weights = initial.initial_state(state)
    if isinstance(weights, str):
        raise CheckpointError(f"{state}: holds the word {weights}, no weights")
    try:
        model.load_state_dict(dict(weights), strict=True)
    except RuntimeError as error:
        why = checkpoints.misfit(error)
        raise CheckpointError(f"{state}: does not fit {source.name}: {why}") from None
