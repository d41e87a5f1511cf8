"""The truth about drawn people: identity_vectors.csv, which the synthetic maker leaves."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from trapmid.data.drawing.vectors import ATTRIBUTES
from trapmid.data.listing import DataError


def read(path: Path, identities: Tensor) -> Tensor:
    """The parameters (C, len(ATTRIBUTES)) float32 of the people with the numbers (C,).

    Raises:
        DataError: the file is missing, has other columns, no line of a person, or no number in one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *lines = list(csv.reader(stream)) or [[]]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    if header != ["identity", *ATTRIBUTES]:
        raise DataError(f"{path}: line 1: must name identity and {len(ATTRIBUTES)} attributes")
    of_person = {line[0]: line[1:] for line in lines if line}
    return torch.tensor([_numbers(path, of_person, str(one)) for one in identities.tolist()])


def _numbers(path: Path, of_person: Mapping[str, list[str]], person: str) -> list[float]:
    if person not in of_person:
        raise DataError(f"{path}: no person {person!r}")
    try:
        numbers = [float(value) for value in of_person[person]]
    except ValueError as error:
        raise DataError(f"{path}: person {person}: {error}") from None
    if len(numbers) != len(ATTRIBUTES):
        raise DataError(f"{path}: person {person}: {len(numbers)} numbers, not {len(ATTRIBUTES)}")
    return numbers
