"""params.yaml, read strictly: a missing, unknown or mistyped key stops the run and names itself.

Read with ruamel.yaml, DVC's own parser: PyYAML takes `1e-4` for a string.
"""

from __future__ import annotations

import dataclasses
import types as pytypes
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

T = TypeVar("T")


class ParamsError(ValueError):
    """A parameter is wrong; the message is one line that names it."""


class Study(dict[str, Any]):
    """params.yaml as plain dictionaries, lists and scalars; it remembers what was asked of it."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.asked: set[str] = set()  # dotted paths; "" is all of it

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)


def read(path: Path) -> Study:
    """A file of parameters.

    Raises:
        ParamsError: the file is missing, is not YAML, or does not hold a mapping.
    """
    try:
        with path.open(encoding="utf-8") as stream:
            content = YAML(typ="safe").load(stream)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except YAMLError as error:
        raise ParamsError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: must hold a mapping, holds {type(content).__name__}")
    return Study(content)


def section(params: Mapping[str, Any], where: str) -> Any:
    """The part of `params` at the dotted path `where`."""
    part: Any = params
    if isinstance(params, Study):
        part = dict(params)  # `asked` is the whole path, not its first word
        params.asked.add(where)
    for depth, key in enumerate(keys := where.split(".")):
        if not isinstance(part, Mapping) or key not in part:
            known = ", ".join(sorted(map(str, part))) if isinstance(part, Mapping) else ""
            parent = ".".join(keys[:depth]) or "params.yaml"
            raise ParamsError(f"{parent}: no {key!r}; has {known or 'none'}")
        part = part[key]
    return part


def build(cls: type[T], block: Any, where: str) -> T:
    """A `cls` (a dataclass) made of `block`; `where` is the block's name in messages.

    Raises:
        ParamsError: keys are missing or unknown, a value has the wrong type, or `cls` refuses it.
    """
    if not isinstance(block, Mapping):
        raise ParamsError(f"{where}: must be a mapping, is {block!r}")
    hints = typing.get_type_hints(cls)
    fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    missing, unknown = _names(set(fields) - set(block)), _names(set(block) - set(fields))
    if missing:
        raise ParamsError(f"{where}: missing {missing}; given {_names(block)}")
    if unknown:
        raise ParamsError(f"{where}: unknown {unknown}; known {sorted(fields)}")
    values = {name: _convert(hints[name], block[name], f"{where}.{name}") for name in fields}
    try:
        return cls(**values)
    except ParamsError:
        raise
    except ValueError as error:
        raise ParamsError(f"{where}.{error}") from None


def _names(keys: Iterable[Any]) -> list[str]:
    """Sorted; YAML keys may be numbers, which do not sort among words."""
    return sorted(map(str, keys))


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`; lists become tuples, whole numbers pass for floats."""
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, pytypes.UnionType):
        return _convert_union(arguments, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise ParamsError(f"{where}: {value!r} is not one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ParamsError(f"{where}: must be a list, is {value!r}")
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise ParamsError(f"{where}: must have {len(arguments)} entries, has {len(value)}")
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(
            _convert(kind, item, f"{where}[{i}]")
            for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ParamsError(f"{where}: must be a mapping, is {value!r}")
        return {k: _convert(arguments[1], item, f"{where}.{k}") for k, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type[Any], hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        name = getattr(hint, "__name__", str(hint))
        raise ParamsError(f"{where}: must be {name}, is {value!r} ({type(value).__name__})")
    return value


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    kinds = [kind for kind in arguments if kind is not type(None)]
    if len(kinds) != 1:
        raise TypeError(f"{where}: only `X | None` unions are supported")
    return _convert(kinds[0], value, where)
