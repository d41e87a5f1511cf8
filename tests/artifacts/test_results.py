"""Result files, good and bad."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from trapmid.artifacts import results
from trapmid.artifacts.results import ResultError
from trapmid.scoring.scores import KINDS


def test_a_history_with_a_gap(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss,inversion\n1,2.5,\n2,1.5,0.25\n", encoding="utf-8")
    history = results.read_history(path)
    assert history.steps == [1.0, 2.0]
    assert history.metrics["loss"] == [2.5, 1.5]
    assert math.isnan(history.metrics["inversion"][0])
    assert history.metrics["inversion"][1] == 0.25


def test_an_empty_history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,loss\n", encoding="utf-8")
    assert results.read_history(path) == results.History([], {"loss": []})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the first column must be `step`"),
        ("loss,step\n", "line 1: the first column must be `step`"),
        ("step,loss\n1\n", "line 2: 1 fields, not 2"),
        ("step,loss\n1,2\n2,high\n", "line 3: could not convert"),
    ],
)
def test_a_wrong_history_is_named(tmp_path, text, words):
    path = tmp_path / "history.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match=rf"history\.csv: {words}"):
        results.read_history(path)


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"aa1": NaN}', '{"aa1": Infinity}', '{"aa1": 1e999}', '{"aa1": 1']
)
def test_wrong_json_is_named(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match=r"scores\.json: "):
        results.read_json(path)


def test_every_training_has_a_section():
    """What transfer learning starts from is trained, too, but never attacked, so never scored."""
    assert set(KINDS) - {"judges"} < set(results.TRAINED)  # shipped, or of trained_judges
    assert "pretrained" in set(results.TRAINED) - set(KINDS)


@dataclass(frozen=True)
class Pair:
    first: float
    second: bool


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"first": 0.5}, r"^r\.json: missing \['second'\]"),
        ({"first": 0.5, "second": True, "third": 1}, r"^r\.json: unknown \['third'\]"),
        ({"first": "x", "second": True}, r"^r\.json: first: must be float, is 'x' \(str\)$"),
    ],
)
def test_a_file_of_other_content_is_one_line(content: dict[str, object], message: str) -> None:
    assert results.typed(Pair, {"first": 0.5, "second": True}, Path("r.json")) == Pair(0.5, True)
    with pytest.raises(ResultError, match=message):
        results.typed(Pair, content, Path("r.json"))
