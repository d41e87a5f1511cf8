"""params.yaml, read strictly: a missing, unknown or mistyped key stops the run and names itself.

Read with ruamel.yaml, DVC's own parser: PyYAML takes `1e-4` for a string.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types as pytypes
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from trapmid.config.layered import Layered
from trapmid.config.renamed import old_names

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
    """The file as plain dictionaries, lists and scalars.

    Raises:
        ParamsError: the file is missing, or `parse` refuses its text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    return parse(text, str(path))


def parse(text: str, path: str = "params.yaml") -> Study:
    """The text of params.yaml as plain dictionaries, lists and scalars.

    Raises:
        ParamsError: it is not YAML, does not hold a mapping, has a name of version 0.1, or holds
            what DVC would lose: an anchor, a merge key, a variable, a key that is no text, a
            number that is not finite.
    """
    try:
        content = YAML(typ="safe").load(text)
        for line, what in _rewritten(text):
            raise ParamsError(f"{path}: line {line}: {what}: write the value out, `-S` loses it")
    except YAMLError as error:
        raise ParamsError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: must hold a mapping, holds {type(content).__name__}")
    _check_plain(content, "")
    for complaint in old_names(content):
        raise ParamsError(complaint)
    return Study(content)


def _rewritten(text: str) -> Iterator[tuple[int, str]]:
    """(line, what) of everything that means another value after DVC wrote the file anew."""
    # Parsing again takes its time. What stands for an anchor, `*x`, comes after it.
    if not any(sign in text for sign in ("&", "<<", "${")):
        return
    for event in YAML(typ="safe", pure=True).parse(text):
        line, value = event.start_mark.line + 1, getattr(event, "value", None) or ""
        if anchor := getattr(event, "anchor", None):
            yield line, f"the anchor {anchor}"
        if value == "<<":
            yield line, "the merge key <<"
        if "${" in value:
            yield line, f"the variable in {value!r}"


def _check_plain(node: Any, where: str) -> None:
    """Refuses keys that are no text, of which DVC makes no stage, and numbers that are none."""
    if isinstance(node, float) and not math.isfinite(node):
        raise ParamsError(f"{where}: {node} is not finite")
    for key, value in node.items() if isinstance(node, dict) else ():
        if not isinstance(key, str):
            raise ParamsError(f"{where or 'params.yaml'}: the key {key!r} must be in quotes")
        _check_plain(value, f"{where}.{key}".removeprefix("."))
    for value in node if isinstance(node, list) else ():
        _check_plain(value, where)


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


BLOCKS = {
    "public_priors": "prior_training",
    "surrogates": "surrogate_training",
    "guided_priors": "prior_training",
    "attack_runs": "attacks",
}
"""Section of rows -> the section with a block of parameters for each of their methods.

The row of a classifier names the block of its defence itself.
"""


def of_row(params: Mapping[str, Any], rows: str, name: str) -> Layered:
    """What a row runs with: its method's block, and what the row's key `set` changes of it.

    Args:
        params: the whole of params.yaml.
        rows: the section of the row, e.g. attack runs.
        name: the row.
    """
    row = section(params, f"{rows}.{name}")
    where = f"{BLOCKS[rows]}.{row['method']}" if rows in BLOCKS else row["block"]
    block = section(params, where)
    if not isinstance(block, Mapping):
        raise ParamsError(f"{where}: must be a mapping, is {block!r}")
    return Layered(block, where, row.get("set", {}), f"{rows}.{name}.set")


def build(cls: type[T], block: Any, where: str) -> T:
    """A `cls` (a dataclass) made of `block`; `where` is the block's name in messages.

    Raises:
        ParamsError: keys are missing or unknown, a value has the wrong type, or `cls` refuses it.
    """
    if not isinstance(block, Mapping):
        raise ParamsError(f"{where}: must be a mapping, is {block!r}")
    hints = _hints(cls)  # type: ignore[arg-type]
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    needed = {name for name, field in fields.items() if not _has_default(field)}
    missing, unknown = _names(needed - set(block)), _names(set(block) - set(fields))
    if missing:
        raise ParamsError(f"{where}: missing {missing}; given {_names(block)}")
    if unknown:
        raise ParamsError(_unknown(unknown, block, where, sorted(fields)))
    values = {
        name: _convert(hints[name], block[name], _place(block, where, name))
        for name in fields
        if name in block
    }
    try:
        return cls(**values)
    except ParamsError:
        raise
    except ValueError as error:
        name, colon, words = str(error).partition(":")
        raise ParamsError(f"{_place(block, where, name)}{colon}{words}") from None


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    """Of the fields; a check builds the same classes for every row."""
    return typing.get_type_hints(cls, include_extras=True)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _place(block: Mapping[str, Any], where: str, key: str) -> str:
    """Where the value of `key` stands: in the block, or in the row that changes it."""
    return block.place(key) if isinstance(block, Layered) else f"{where}.{key}"


def _unknown(unknown: list[str], block: Mapping[str, Any], where: str, known: list[str]) -> str:
    if isinstance(block, Layered) and (changed := [key for key in unknown if block.changes(key)]):
        return f"{block.place(changed[0])}: unknown; known {known}"
    return f"{where}: unknown {unknown}; known {known}"


def _names(keys: Iterable[Any]) -> list[str]:
    """Sorted; YAML keys may be numbers, which do not sort among words."""
    return sorted(map(str, keys))


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`; lists become tuples, whole numbers pass for floats."""
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _within(arguments[1:], _convert(arguments[0], value, where), where)
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
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ParamsError(f"{where}: {value} is not finite")
        return float(value)
    if type(value) is not hint:
        name = getattr(hint, "__name__", str(hint))
        raise ParamsError(f"{where}: must be {name}, is {value!r} ({type(value).__name__})")
    return value


def _within(bounds: Iterable[Any], value: Any, where: str) -> Any:
    for bound in bounds:
        if not bound.holds(value):
            shown = list(value) if isinstance(value, tuple) else value
            raise ParamsError(f"{where}: {shown} {bound.otherwise}")
    return value


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    kinds = [kind for kind in arguments if kind is not type(None)]
    if len(kinds) != 1:
        raise TypeError(f"{where}: only `X | None` unions are supported")
    return _convert(kinds[0], value, where)
