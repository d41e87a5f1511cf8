"""The paper's tables as reports/paper has them: Liu and Chen, "Trap-MID" (NeurIPS 2024)."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from trapmid.artifacts import results
from trapmid.artifacts.results import ResultError

T = TypeVar("T")

Trained = Literal["mean", "one", "best", "worst", ""]
"""Which trained targets a number is of: the mean of several, a single one, or of several the one
with the lowest or highest AA-1; nothing where no target is asked."""

Unit = Literal["%", "1", "min"]
Kind = Literal["", "over targets", "within run", "within run, averaged"]


_PRINTED = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class Number:
    """One printed number; names of attack, defence and network are those of params.yaml."""

    table: int
    row: str  # as printed: attack / defence
    private: str  # celeba | celeba_hd
    public: str  # celeba | ffhq; "": no attack
    architecture: str
    target: Trained
    attack: str  # "": none
    defence: str  # "": none
    metric: str
    value: str  # as printed
    deviation: str  # as printed; "": none
    unit: Unit
    kind: Kind  # of the deviation
    seeds: str  # how many targets; "": not said

    @property
    def amount(self) -> float:
        """The value as the study counts: rates are fractions."""
        return float(self.value) / self.scale

    @property
    def spread(self) -> float | None:
        """The deviation in the same unit; None: none is printed."""
        return float(self.deviation) / self.scale if self.deviation else None

    @property
    def scale(self) -> float:
        """How many printed units are one of the study's."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def digits(self) -> int:
        """Printed digits behind the point."""
        return len(self.value.partition(".")[2])

    @property
    def rounding(self) -> float:
        """Half a unit of the last printed digit, as the study counts."""
        return 0.5 * 10.0**-self.digits / self.scale


@dataclass(frozen=True, kw_only=True)
class PaperTable:
    """What all numbers of one table have in common."""

    table: int
    section: str
    title: str
    protocol: str
    profile: str  # whose rows would answer it


class Published(NamedTuple):
    """All tables and their numbers, in the paper's order."""

    tables: tuple[PaperTable, ...]
    numbers: tuple[Number, ...]


def read(folder: Path) -> Published:
    """The tables in `folder`: tables.csv and numbers.csv.

    Raises:
        ResultError: a file is missing, or a line of it is malformed; one line names it.
    """
    tables = tuple(_typed(PaperTable, line) for line in _lines(folder, PaperTable))
    numbers = tuple(_typed(Number, line) for line in _lines(folder, Number))
    known = {one.table for one in tables}
    for number in numbers:
        if wrong := _wrong(number, known):
            place = f"{folder / _FILES[Number]}: table {number.table}, {number.row}"
            raise ResultError(f"{place}, {number.metric}: {wrong}")
    return Published(tables, numbers)


class _Line(NamedTuple):
    place: str  # file and line, for errors
    cells: Mapping[str, str]


_FILES = {PaperTable: "tables.csv", Number: "numbers.csv"}


def _lines(folder: Path, kind: type[PaperTable] | type[Number]) -> list[_Line]:
    file = folder / _FILES[kind]
    if not file.is_file():
        raise ResultError(f"{file}: no such file")
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        heads = [field.name for field in fields(kind)]
        if reader.fieldnames != heads:
            raise ResultError(f"{file}: columns {reader.fieldnames}, not {heads}")
        return [_line(f"{file}:{reader.line_num}", cells) for cells in reader]


def _line(place: str, cells: Mapping[str, str]) -> _Line:
    if None in (*cells, *cells.values()):  # what csv makes of cells too many or too few
        raise ResultError(f"{place}: another number of cells than columns")
    if not cells["table"].isdecimal():
        raise ResultError(f"{place}: table: {cells['table']!r} is no whole number")
    return _Line(place, cells)


def _typed(kind: type[T], line: _Line) -> T:
    content = {**line.cells, "table": int(line.cells["table"])}
    return results.typed(kind, content, Path(line.place))


def _wrong(number: Number, tables: Container[int]) -> str | None:
    """What a number cannot be, in words; None: nothing."""
    if number.table not in tables:
        return "no such table in tables.csv"
    for text in filter(None, (number.value, number.deviation)):
        if not _PRINTED.fullmatch(text):
            return f"{text!r} is no number"
    if not number.value or bool(number.kind) != bool(number.deviation):
        return f"value {number.value!r}, deviation {number.deviation!r} of kind {number.kind!r}"
    return None
