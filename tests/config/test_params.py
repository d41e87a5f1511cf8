"""params.yaml: what is wrong is named, by its dotted path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from trapmid.config import params
from trapmid.config.params import ParamsError


@dataclass(frozen=True, kw_only=True)
class Inner:
    degrees: float


@dataclass(frozen=True, kw_only=True)
class Block:
    lr: float
    steps: int
    kind: Literal["sgd", "adam"]
    flip: bool
    name: str
    betas: tuple[float, float]
    milestones: tuple[int, ...]
    limit: int | None
    inner: Inner | None
    options: dict[str, Any]

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps: {self.steps} is under 1")


GOOD: dict[str, Any] = {
    "lr": 1,
    "steps": 5,
    "kind": "sgd",
    "flip": True,
    "name": "x",
    "betas": [0, 0.9],
    "milestones": [],
    "limit": None,
    "inner": {"degrees": 5.0},
    "options": {"any": ["thing"]},
}


def test_a_block_becomes_an_object_of_the_right_types() -> None:
    found = params.build(Block, GOOD, "attacks.x")
    assert found == Block(
        **(GOOD | {"betas": (0, 0.9), "milestones": (), "inner": Inner(degrees=5)})
    )
    assert type(found.lr) is float and type(found.betas[0]) is float
    assert params.build(Block, GOOD | {"inner": None, "limit": 3}, "x").inner is None


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in GOOD.items() if k != key}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (without("lr"), r"attacks\.x: missing \['lr'\]; given \['betas', "),
        (GOOD | {"step": 1}, r"attacks\.x: unknown \['step'\]; known \['betas', "),
        (GOOD | {1: 1, "step": 1}, r"attacks\.x: unknown \['1', 'step'\]"),
        (without("lr") | {1: 1}, r"attacks\.x: missing \['lr'\]; given \['1', 'betas'"),
        (GOOD | {"lr": "1e-4"}, r"attacks\.x\.lr: must be float, is '1e-4' \(str\)"),
        (GOOD | {"lr": True}, r"attacks\.x\.lr: must be float, is True"),
        (GOOD | {"steps": 5.0}, r"attacks\.x\.steps: must be int, is 5\.0"),
        (GOOD | {"steps": True}, r"attacks\.x\.steps: must be int, is True"),
        (GOOD | {"steps": 0}, r"attacks\.x\.steps: 0 is under 1"),
        (GOOD | {"kind": "lion"}, r"attacks\.x\.kind: 'lion' is not one of sgd, adam"),
        (GOOD | {"flip": 1}, r"attacks\.x\.flip: must be bool, is 1"),
        (GOOD | {"name": None}, r"attacks\.x\.name: must be str, is None"),
        (GOOD | {"betas": [0.5]}, r"attacks\.x\.betas: must have 2 entries, has 1"),
        (GOOD | {"betas": 0.5}, r"attacks\.x\.betas: must be a list, is 0\.5"),
        (GOOD | {"milestones": [1, "2"]}, r"attacks\.x\.milestones\[1\]: must be int, is '2'"),
        (GOOD | {"limit": "no"}, r"attacks\.x\.limit: must be int, is 'no'"),
        (GOOD | {"inner": {"degree": 5.0}}, r"attacks\.x\.inner: missing \['degrees'\]"),
        (GOOD | {"inner": 5.0}, r"attacks\.x\.inner: must be a mapping, is 5\.0"),
        (GOOD | {"options": []}, r"attacks\.x\.options: must be a mapping, is \[\]"),
        (None, r"attacks\.x: must be a mapping, is None"),
    ],
)
def test_a_wrong_block_names_itself_in_one_line(block: Any, message: str) -> None:
    with pytest.raises(ParamsError, match=message) as caught:
        params.build(Block, block, "attacks.x")
    assert "\n" not in str(caught.value)


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("a: 1e-4\nb: 2E5\nc: 0.0001\nd: on\n")
    assert params.read(file) == {"a": 1e-4, "b": 2e5, "c": 1e-4, "d": "on"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("a: [1\n", "while parsing"),
        ("a: 1\na: 2\n", "found duplicate key"),
        ("- 1\n", "must hold a mapping, holds list"),
        ("", "must hold a mapping, holds NoneType"),
    ],
)
def test_a_wrong_file_names_itself_in_one_line(
    tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "params.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ParamsError, match=rf"params\.yaml: .*{message}") as caught:
        params.read(file)
    assert "\n" not in str(caught.value)


def test_a_section_by_its_path() -> None:
    study = {"attacks": {"gmi": {"steps": 3}}, "none": None}
    assert params.section(study, "attacks.gmi.steps") == 3
    assert params.section(study, "none") is None
    with pytest.raises(ParamsError, match=r"params\.yaml: no 'attack'; has attacks, none"):
        params.section(study, "attack.gmi")
    with pytest.raises(ParamsError, match=r"attacks: no 'plgmi'; has gmi"):
        params.section(study, "attacks.plgmi")
    with pytest.raises(ParamsError, match=r"none: no 'x'; has none"):
        params.section(study, "none.x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: 2\n", "line 1: the anchor x: write the value out"),
        ("a: 1\nb: &x 2\nc: *x\n", "line 2: the anchor x: write the value out"),
        ("a: *x\n", "found undefined alias"),
        ("a: {b: 1}\nc:\n  <<: {d: 1}\n", "line 3: the merge key <<: write"),
        ("a: ${b}\n", "line 1: the variable in '\\$\\{b\\}'"),
        ("a: {1: x}\n", "a: the key 1 must be in quotes"),
        ("true: x\n", "params.yaml: the key True must be in quotes"),
        ("a: {b: [1, .nan]}\n", "a.b: nan is not finite"),
    ],
)
def test_what_dvc_would_lose_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        params.parse(text)
    assert params.parse('"*": 1\na: "&"\n') == {"*": 1, "a": "&"}
