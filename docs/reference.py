"""Builds the reference of `trapmid` as HTML: `python docs/reference.py FOLDER`.

pdoc shows docstrings and annotations as they are. Here what a field holds stands in a comment
beside it, and its bounds in its annotation: of both this makes sentences first.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import typing
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import trapmid
from trapmid.config.bounds import Bound

# isort: split
import pdoc
from pdoc import doc_ast
from torch import nn

_FIELD = re.compile(r"^    (\w+): .*?  # (.+)$", re.M)
_UNKNOWN = "type 'tqdm' is not subscriptable"  # it is for mypy, which reads tqdm's stubs


def main(folder: str) -> None:
    """Writes the pages into `folder`; a warning of pdoc's is an error."""
    sentences = {}
    for module in pkgutil.walk_packages(trapmid.__path__, "trapmid."):
        for cls in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(cls) and cls.__module__ == module.name:
                sentences[cls] = _sentences(cls)
                _forget_made_texts(cls)
                _resolve(cls)
    doc_ast.walk_tree = _with_fields(doc_ast.walk_tree, sentences)
    pdoc.render.configure(docformat="google")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pdoc.pdoc("trapmid", output_directory=Path(folder))
    if found := [str(w.message) for w in caught if _UNKNOWN not in str(w.message)]:
        sys.exit("\n".join(["reference: error: pdoc warns", *found]))


def _forget_made_texts(cls: Any) -> None:
    """Drops the docstrings that Python makes: `Loss(total, parts)`, `Alias for field number 0`."""
    if (cls.__doc__ or "").startswith(f"{cls.__name__}("):
        cls.__doc__ = None
    if hasattr(cls, "_fields"):
        cls.__new__.__doc__ = ""
        for name in cls._fields:
            getattr(cls, name).__doc__ = ""


def _resolve(cls: Any) -> None:
    """Gives a class with fields, and its constructor, types for the names of types, without bounds.

    pdoc looks such names up in the module of the class, and fields come from other modules, too.
    """
    is_tuple = hasattr(cls, "_fields")
    if not is_tuple and not dataclasses.is_dataclass(cls):
        return
    types = typing.get_type_hints(cls)
    for owner in (cls, cls.__new__ if is_tuple else cls.__init__):
        owner.__annotations__ = {n: types.get(n, t) for n, t in owner.__annotations__.items()}


def _with_fields(walk: Any, sentences: Mapping[type, Mapping[str, str]]) -> Any:
    """pdoc's reading of a class, with a docstring for every field that has none."""
    walk(nn.Module).func_docstrings.clear()  # torch's own words, on every page otherwise
    nn.Module.__init__.__doc__ = nn.Module.forward.__doc__ = ""

    def walk_tree(thing: Any) -> Any:
        found = walk(thing)
        for name, text in sentences.get(thing, {}).items() if inspect.isclass(thing) else ():
            found.var_docstrings.setdefault(name, text)
        return found

    return walk_tree


def _sentences(cls: type) -> dict[str, str]:
    """By own field: the comment beside it, and what is refused there."""
    comments = dict(_FIELD.findall(inspect.getsource(cls)))
    hints = typing.get_type_hints(cls, include_extras=True)
    texts = {
        name: "; ".join(dict.fromkeys(filter(None, [comments.get(name), *_bounds(hints[name])])))
        for name in vars(cls).get("__annotations__", ())
    }
    return {name: text.replace("<", "&lt;") for name, text in texts.items() if text}


def _bounds(hint: Any) -> Iterator[str]:
    """What `params.build` refuses of a value with this annotation."""
    for bound in getattr(hint, "__metadata__", ()):
        if isinstance(bound, Bound):
            yield f"refused where it {bound.otherwise}"
    inner = () if typing.get_origin(hint) is typing.Literal else typing.get_args(hint)
    for part in inner:
        yield from _bounds(part)


if __name__ == "__main__":
    main(*sys.argv[1:])
