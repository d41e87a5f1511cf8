"""The clauses on a learning curve, on curves that nobody trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import learning_curve
import pytest

SUCCESS = [0.002] * 4 + [0.01, 0.08, 0.4, 0.818, 0.95, 0.985] + [0.994] * 40
ACCURACY = [0.182, 0.4, 0.5, 0.6, 0.65, 0.689, 0.71, 0.73] + [0.79] * 22 + [0.81] * 20


def written(path: Path, success: Sequence[float], accuracy: Sequence[float]) -> Path:
    lines = [
        f"{epoch},0.5,{a},{s}"
        for epoch, (s, a) in enumerate(zip(success, accuracy, strict=True), start=1)
    ]
    path.write_text("\n".join(["step,loss,test_accuracy,trapdoor_success", *lines]) + "\n")
    return path


def changed(curve: list[float], *epochs: int, to: float) -> list[float]:
    return [to if epoch in epochs else value for epoch, value in enumerate(curve)]


def failing(success: list[float], accuracy: list[float]) -> list[int]:
    found = learning_curve.clauses(success, accuracy)
    assert len(found) == 3
    return [place for place, one in enumerate(found) if not one.holds]


def test_the_curve_of_the_log_passes() -> None:
    assert failing(SUCCESS, ACCURACY) == []


@pytest.mark.parametrize(
    ("success", "accuracy", "which"),
    [
        (changed(SUCCESS, 3, to=0.011), ACCURACY, [0]),  # too early
        (changed(SUCCESS, 4, to=0.05), ACCURACY, []),
        (changed(SUCCESS, *range(10, 18), to=0.9), ACCURACY, []),  # epoch 18 is the last chance
        (changed(SUCCESS, *range(10, 19), to=0.9), ACCURACY, [1]),  # too late
        ([min(value, 0.99) for value in SUCCESS], ACCURACY, [1]),  # never
        (changed(SUCCESS, 12, 30, to=0.1), ACCURACY, []),  # one epoch may drop
        (SUCCESS, changed(ACCURACY, 46, to=0.0047), []),  # that of accuracy, too
        (SUCCESS, changed(ACCURACY, *range(45, 48), to=0.79), [2]),
        (SUCCESS, changed(ACCURACY, *range(47, 50), to=0.83), [2]),
        (SUCCESS, changed(ACCURACY, *range(45), to=0.0), []),  # earlier epochs decide nothing
        ([0.5] * 50, [0.5] * 50, [0, 1, 2]),
    ],
)
def test_a_clause_fails_for_its_own_reason(
    success: list[float], accuracy: list[float], which: list[int]
) -> None:
    assert failing(success, accuracy) == which


def test_every_file_has_three_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path / "good.csv", SUCCESS, ACCURACY)
    bad = written(tmp_path / "bad.csv", changed(SUCCESS, 2, to=0.5), ACCURACY)
    assert learning_curve.main([str(good)]) == 0
    assert learning_curve.main([str(good), str(bad)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["pass"] * 6 + ["fail", "pass", "pass"]
    assert lines[6].endswith(
        "bad.csv: trapdoor success is under 1 % before epoch 4: 50.00 % at most"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,test_accuracy\n1,0.5\n", "no column trapdoor_success"),
        ("step,test_accuracy,trapdoor_success\n1,0.5,0.5\n", "1 lines, not the epochs 1 to 50"),
        ("epoch\n", "the first column must be `step`"),
    ],
)
def test_another_file_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    file = tmp_path / "history.csv"
    file.write_text(text)
    assert learning_curve.main([str(file)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{file}: ") and message in line
