"""What code a result depends on: every definition that a script or a method can reach.

A definition is a function, a class or an assignment at the top of a module of this project. From a
script, or from a method's class, the names that its syntax tree mentions lead to further ones.
Their digest leaves out comments, docstrings, the annotations of functions and the layout of lines:
what cannot change a number changes no digest.

The stage `code` writes one small file per script and per method; DVC's stages depend on these.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

METHODS = {
    "attacks": ("Attack",),
    "data": ("Maker", "Reader"),
    "defenses": ("Defense",),
    "judges": ("Judge",),
    "priors": ("Training",),
    "surrogates": ("Surrogate",),
    "targets": ("Network",),
}
"""Folders of methods, and the classes by which `wiring` takes one from its module."""

SCRIPTS = "stages"
INDEX = "index"
"""The file beside the digests of code that has those of the source files' bytes."""


class Definition(NamedTuple):
    """A name at the top of a module; the name `""` is what a module does when it is imported."""

    module: str
    name: str


class _Import(NamedTuple):
    """What a name stands for: a module, or a name in it."""

    module: str
    name: str | None


class _Module:
    """One source file, taken apart."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.definitions: dict[str, list[ast.AST]] = {"": []}
        self.imports: dict[str, _Import] = {}
        tree = ast.parse(text)
        for statement in _without_texts(tree.body):
            self._sort(statement)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imports.update(_bindings(node))

    def _sort(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom) or _for_types_alone(node):
            return
        names: list[str] = []
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            places = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for place in places for part in ast.walk(place)]
            if all(isinstance(part, ast.Name | ast.Tuple | ast.expr_context) for part in parts):
                names = [part.id for part in parts if isinstance(part, ast.Name)]
        for name in names or [""]:
            self.definitions.setdefault(name, []).append(node)


class Sources:
    """The modules of this project, read when they are first needed.

    Args:
        package: the folder `trapmid`.
        scripts: the folder `stages`, where there is one.
    """

    def __init__(self, package: Path, scripts: Path | None = None) -> None:
        self._package, self._scripts = package, scripts
        self._modules: dict[str, _Module] = {}

    @cached_property
    def files(self) -> dict[str, Path]:
        """Every source file by the name under which it is imported."""
        found = {} if self._scripts is None else {f.stem: f for f in self._scripts.glob("*.py")}
        for file in self._package.rglob("*.py"):
            parts = file.relative_to(self._package.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
        return found

    def module(self, name: str) -> _Module:
        """The module of that name, taken apart."""
        if name not in self._modules:
            text = self.files[name].read_text(encoding="utf-8")
            self._modules[name] = _Module(name, text)
        return self._modules[name]

    def units(self) -> dict[str, tuple[Definition, ...]]:
        """Where the code of every script and method begins: `stages/invert`, `attacks/plgmi`."""
        found: dict[str, tuple[Definition, ...]] = {}
        for name, file in sorted(self.files.items()):
            folder, held = file.parent, METHODS.get(file.parent.name, ())
            if folder == self._scripts and not name.startswith("_"):
                found[f"{SCRIPTS}/{name}"] = (Definition(name, "main"), Definition(name, ""))
            elif folder.parent == self._package and held:
                there = self.module(name).definitions
                if roots := tuple(Definition(name, role) for role in held if role in there):
                    found[f"{folder.name}/{file.stem}"] = roots
        return found

    def reach(self, *roots: Definition) -> set[Definition]:
        """`roots` and every definition to which they lead."""
        found: set[Definition] = set()
        todo = list(roots)
        while todo:
            definition = todo.pop()
            if definition not in found:
                found.add(definition)
                todo += self._leads_to(definition)
        return found

    def listing(self, *roots: Definition) -> str:
        """One line per reached definition and per file that stands beside a reached module."""
        reached = self.reach(*roots)
        lines = [
            f"{module}:{name} {digest}"
            for module, name in reached
            if (digest := self._digest(module, name)) is not None
        ]
        folders = {self.files[module].parent for module, _ in reached} - {self._scripts}
        lines += [
            f"{file.relative_to(self._package).as_posix()} {digest_of_bytes(file)}"
            for file in _beside(folders)
        ]
        return "".join(f"{line}\n" for line in sorted(lines))

    def _digest(self, module: str, name: str) -> str | None:
        nodes = self.module(module).definitions.get(name, [])
        text = "\n".join(_canonical(node) for node in nodes)
        return hashlib.sha256(text.encode()).hexdigest()[:16] if nodes else None

    def _leads_to(self, definition: Definition) -> Iterator[Definition]:
        module = self.module(definition.module)
        if definition.name == "":  # importing a module imports what stands at its top
            parents = definition.module.split(".")
            yield from self._loaded(".".join(parents[:end]) for end in range(1, len(parents)))
            for where, name in module.imports.values():
                yield from self._loaded((where, f"{where}.{name}"))
        else:
            yield Definition(module.name, "")
        for node in module.definitions.get(definition.name, []):
            for chain in _mentioned(node):
                yield from self._resolve(module, chain)
        if definition.name in module.imports and definition.name not in module.definitions:
            yield from self._resolve(module, (definition.name,))

    def _loaded(self, names: Iterable[str]) -> Iterator[Definition]:
        return (Definition(name, "") for name in names if name in self.files)

    def _resolve(self, module: _Module, chain: tuple[str, ...]) -> Iterator[Definition]:
        """The definition that `a.b.c` means inside `module`, if it is one of this project."""
        first, *rest = chain
        if first in module.definitions:
            yield Definition(module.name, first)
        if first not in module.imports:
            return
        where, name = module.imports[first]
        rest = rest if name is None else [name, *rest]
        while rest and f"{where}.{rest[0]}" in self.files:
            where, rest = f"{where}.{rest[0]}", rest[1:]
        if where not in self.files:
            return
        if rest:
            yield Definition(where, rest[0])
        else:  # the module itself is handed on: any of its names may be asked of it
            inside = self.module(where)
            yield from (Definition(where, name) for name in inside.definitions)


@cache
def installed() -> Sources:
    """The package as it is imported, without scripts."""
    return Sources(Path(__file__).parents[1])


def digest_of_classes(classes: Iterable[type]) -> str:
    """A digest of everything that these classes can reach in this project; others are left out."""
    files = installed().files
    roots = {Definition(kind.__module__, kind.__qualname__.split(".")[0]) for kind in classes}
    listing = installed().listing(*(root for root in roots if root.module in files))
    return hashlib.sha256(listing.encode()).hexdigest()


def index_lines(files: Mapping[str, Path]) -> list[str]:
    """A line per source file: the name under which it is imported and a digest of its bytes."""
    return [f"{name} {digest_of_bytes(file)}" for name, file in files.items()]


def digest_of_bytes(file: Path) -> str:
    """The beginning of the SHA-256 of a file, 16 hexadecimal digits."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _beside(folders: set[Path]) -> Iterator[Path]:
    """Files that are no code, in these folders and in those below them that hold no code at all."""
    for folder in folders:
        places = [folder, *(p for p in folder.iterdir() if p.is_dir() and not any(p.glob("*.py")))]
        for place in places:
            if place.name != "__pycache__":
                yield from (f for f in place.iterdir() if f.is_file() and f.suffix != ".py")


def _bindings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, _Import]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, _Import(node.module or "", alias.name)
        elif alias.asname:
            yield alias.asname, _Import(alias.name, None)
        else:
            top = alias.name.split(".")[0]
            yield top, _Import(top, None)


def _for_types_alone(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _without_texts(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Statements without docstrings: a string alone does nothing, wherever it stands."""
    return [
        node
        for node in body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


def _parts(node: ast.AST, *, local: bool = False) -> Iterator[tuple[str, object]]:
    """The fields of a node that decide what it computes.

    Annotations of a function decide nothing; those of a class do, since a dataclass reads them.
    """
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list):
            value = _without_texts(value)
        dropped = (
            name in ("ctx", "kind", "type_comment", "returns")
            or (name == "annotation" and (isinstance(node, ast.arg) or local))
            or value is None
            or value == []
        )
        if not dropped:
            yield name, value


def _canonical(node: object, *, local: bool = True) -> str:
    """A text of a syntax tree that is the same in every version of Python.

    `local`: not directly in the body of a class.
    """
    if isinstance(node, list):
        return f"[{','.join(_canonical(part, local=local) for part in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    inside = not isinstance(node, ast.ClassDef)
    parts = [
        f"{name}={_canonical(value, local=inside)}" for name, value in _parts(node, local=local)
    ]
    return f"{type(node).__name__}({','.join(parts)})"


def _mentioned(node: ast.AST, *, local: bool = True) -> Iterator[tuple[str, ...]]:
    """Every dotted name inside a syntax tree, e.g. `("losses", "max_margin")`."""
    chain: list[str] = []
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute):
        chain.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield (inner.id, *reversed(chain))
        return
    inside = not isinstance(node, ast.ClassDef)
    for _, value in _parts(inner, local=local):
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from _mentioned(part, local=inside)
