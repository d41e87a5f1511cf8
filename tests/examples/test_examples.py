"""Every example as a reader runs it, from a folder that holds no study."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from toy import BLOCKS, PEOPLE, Memory, images, plan, private, runtime
from trapmid import wiring
from trapmid.artifacts import classifiers
from trapmid.config.study import TargetRow
from trapmid.nets import program

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(p.stem for p in (ROOT / "examples").glob("[!_]*.py"))
MOST_LINES = 60


def printed(name: str, folder: Path, *words: str, leaves: tuple[str, ...] = ()) -> str:
    """What `python examples/<name>.py WORDS` prints; warnings are errors in it."""
    command = [sys.executable, "-W", "error", str(ROOT / f"examples/{name}.py"), *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    left = tuple(sorted(one.name for one in folder.iterdir()))
    assert left == leaves, "an example leaves nothing else behind"
    return done.stdout


def percent(text: str, line: str) -> float:
    """The share, in [0, 1], after the words `line`."""
    found = re.search(rf"^{re.escape(line)} ?(\d+)%", text, re.M)
    assert found, f"no line {line!r} in:\n{text}"
    return int(found[1]) / 100


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_is_short_and_followed_by_a_test(name: str) -> None:
    assert len((ROOT / f"examples/{name}.py").read_text("utf-8").splitlines()) < MOST_LINES
    assert f"def test_{name}(" in Path(__file__).read_text("utf-8")


@pytest.mark.slow
def test_attack_your_own_model(tmp_path: Path) -> None:
    text = printed("attack_your_own_model", tmp_path, leaves=("grid.png",))
    assert percent(text, "your model:") > 0.85
    assert percent(text, "evaluator:") > 0.85
    floor = percent(text, "random faces: AA-1")
    assert floor < 0.35
    aa1 = percent(text, "GMI: AA-1")
    assert aa1 > floor + 0.3  # 90 against 8 % of 40 images
    ends = re.search(r"^GMI: .* interval (\d+)% to (\d+)%\)", text, re.M)
    assert ends and int(ends[1]) / 100 < aa1 < int(ends[2]) / 100
    taken = re.search(r"^GMI: .*, of which the model takes (\d+)% for their person$", text, re.M)
    assert taken and int(taken[1]) >= 90 and "did not reach" not in text
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.width > grid.height  # eight people side by side


@pytest.mark.slow
def test_write_a_defence(tmp_path: Path) -> None:
    text = printed("write_a_defence", tmp_path)
    assert percent(text, "none: accuracy") > 0.85
    assert percent(text, "unsure: accuracy") > 0.75
    confidence = {n: float(v) for n, v in re.findall(r"^(\w+): .*confidence (\d+)%", text, re.M)}
    assert confidence["unsure"] < confidence["none"] - 20  # 46 against 96 %


@pytest.mark.slow
def test_write_an_attack(tmp_path: Path) -> None:
    text = printed("write_an_attack", tmp_path)
    floor = percent(text, "random faces: AA-1")
    assert floor < 0.35
    assert percent(text, "at home: AA-1") > floor + 0.3  # 92 against 5 % of 40 images


@pytest.mark.slow
def test_scores_to_pandas(tmp_path: Path) -> None:
    """The table is that of metrics.json, which the report computes from the same scores."""
    text = printed("scores_to_pandas", tmp_path)
    (metrics,) = json.loads((ROOT / "reports/metrics.json").read_text("utf-8"))
    header, _, *lines = text.split("\n\n")[0].splitlines()
    names = header.split()[1:]
    table = {
        attack: dict(zip(names, attack_runs, strict=True))
        for attack, *attack_runs in map(str.split, lines)
    }
    compared = 0
    for attack, by_defense in metrics["attacks"].items():
        for name in names:
            wanted = f"{100 * by_defense[name]['aa1']:.1f}" if name in by_defense else "-"
            assert table[attack][name] == wanted
            compared += wanted != "-"
    assert compared > 0
    for defense, worst in metrics["worst"].items():
        assert f"\n{defense}: {100 * worst['aa1']:.1f} % by {worst['attack']}\n" in text


@pytest.mark.slow
def test_export_a_target(tmp_path: Path) -> None:
    """The program keeps what `trapmid audit` asks of one, and answers as the target does."""
    trained = tmp_path / "targets" / "none-0" / "model.pt"
    (tmp_path / "random").write_text("random\n")
    row = TargetRow(
        data="faces",
        arch="small_resnet",
        defense="none",
        method="none",
        block="none",
        training="target",
        init=str(tmp_path / "random"),
        seed=0,
    )
    defense = wiring.defense(*BLOCKS["none"], "none")
    made = classifiers.train(row, plan(epochs=1), defense, private(3, 16), runtime(), Memory())
    classifiers.save(trained, "none-0", row, made, 16, PEOPLE)
    here = tmp_path / "here"
    here.mkdir()
    printed("export_a_target", here, str(trained), leaves=("none-0.pt2",))
    exported = program.read((here / "none-0.pt2").read_bytes())
    program.check(exported, 3, 16)
    faces = images(5, size=16)
    answer = program.ask(program.asked(exported, torch.device("cpu")), faces)
    expected = made.model.eval()(faces)
    torch.testing.assert_close(answer.logits, expected.logits)
    torch.testing.assert_close(answer.features, expected.features)
