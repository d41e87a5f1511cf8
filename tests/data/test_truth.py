"""The truth about drawn people, as the synthetic maker writes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trapmid.data import synthetic, truth
from trapmid.data.drawing.vectors import ATTRIBUTES, identity_vectors
from trapmid.data.listing import DataError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "identity_vectors.csv"
    synthetic._write_vectors(file, range(1, 6), identity_vectors(range(1, 6), seed=3))
    return file


def test_people_come_in_the_order_of_their_classes(table: Path) -> None:
    found = truth.read(table, torch.tensor([4, 1]))
    assert found.shape == (2, len(ATTRIBUTES))
    assert torch.allclose(found.double(), identity_vectors([4, 1], seed=3), atol=1e-6)


def test_a_person_who_is_not_there_is_named(table: Path) -> None:
    with pytest.raises(DataError, match=rf"^{table}: no person '9'$"):
        truth.read(table, torch.tensor([1, 9]))


@pytest.mark.parametrize("text", ["", "identity,age\n1,0.5\n"])
def test_another_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"t\.csv: line 1: must name identity and 41 attributes$"):
        truth.read(tmp_path / "t.csv", torch.tensor([1]))


@pytest.mark.parametrize("line", ["1,a,0.5", "1,0.5", "1" + ",0.5" * 40, "1" + ",0.5" * 42])
def test_a_broken_line_is_refused(table: Path, line: str) -> None:
    head, _, *rest = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join([head, line, *rest]), encoding="utf-8")
    with pytest.raises(DataError, match=rf"^{table}: ") as error:
        truth.read(table, torch.tensor([1]))
    assert "\n" not in str(error.value)


def test_no_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: no such file$"):
        truth.read(tmp_path / "absent.csv", torch.tensor([1]))
