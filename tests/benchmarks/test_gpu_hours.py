"""What the documents say a GPU takes, against the file of results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gpu_hours
import pytest
import yaml

import shipped
from paper_tables import ANSWERED, Line, composed, name
from trapmid.config import params
from trapmid.planning import work
from trapmid.planning.card import Card

ROOT = Path(__file__).resolve().parents[2]
PERFORMANCE = (ROOT / "docs/performance.md").read_text("utf-8")

TRAINED = {  # a line of the first table -> where its rows are, and the matrix rate it is held to
    "fp32": ("training/fp32", "fp32"),
    "default: TF32 in convolutions": ("training/default", "tf32"),
    "bf16": ("training/bf16", "bf16"),
    "bf16, channels last": ("variants/bf16 channels last", "bf16"),
    "TF32, channels last, autotuned": ("variants/tf32 channels last autotuned", "tf32"),
}
TIMED = {
    "GMI's prior": "priors/gmi: iteration",
    "KED-MI's prior": "priors/kedmi: iteration",
    "PLG-MI's prior": "priors/plgmi: iteration",
    "GMI's search": "searches/gmi: step",
    "KED-MI's search": "searches/kedmi: step",
    "LOMMA on GMI's prior": "searches/lomma_gmi: step",
    "LOMMA on KED-MI's prior": "searches/lomma_kedmi: step",
    "PLG-MI's search": "searches/plgmi: step",
}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(gpu_hours.MEASURED.read_text("utf-8"))}


def line(name: str) -> list[float]:
    """The numbers of a line of a table, one a cell; the first number where a cell has several."""
    (found,) = [one for one in PERFORMANCE.splitlines() if one.startswith(f"| {name} |")]
    cells = found.strip("| ").split(" | ")[1:]
    numbers = [re.search(r"\d[\d,]*\.?\d*", cell.split(":")[-1]) for cell in cells]
    return [float(one[0].replace(",", "")) for one in numbers if one]


@pytest.mark.parametrize("name", TRAINED)
def test_the_table_of_epochs_is_what_was_measured(
    name: str, measured: dict[str, dict[str, Any]]
) -> None:
    place, kind = TRAINED[name]

    def value(row: str) -> float:
        return float(measured[row]["value"])

    expected = []
    for defense in ("none", "trapmid"):
        steps = 27000 // 64
        ideal = value(f"training/work: {defense}") / value(f"machine/rates: rate {kind}") / 1000
        expected += [value(f"{place}: {defense}: epoch"), steps * ideal]
    expected += [value(f"{place}: cost of trapmid over none")]
    expected += [value(f"{place}: trapmid: peak memory")]
    assert line(name) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", TIMED)
def test_the_table_of_steps_is_what_was_measured(
    name: str, measured: dict[str, dict[str, Any]]
) -> None:
    row = measured[TIMED[name]]
    seconds, whole = line(name)[-2:]
    assert seconds == pytest.approx(row["value"], rel=0.01)
    other = "whole training" if "iteration" in TIMED[name] else "image"
    assert whole == pytest.approx(
        measured[f"{TIMED[name].split(':')[0]}: {other}"]["value"], rel=0.01
    )


def test_hours_are_products_of_counts_and_measured_seconds(
    measured: dict[str, dict[str, Any]],
) -> None:
    """Table 7 by hand: four targets with triggers, a prior and a search of PLG-MI each.

    Beside them random latents of GMI's prior, on a target without a defence.
    """
    plain = measured["training/default: none: epoch"]["value"]
    epoch = measured["training/default: trapmid: epoch"]["value"]
    floor = measured["priors/gmi: iteration"]["value"]
    iteration = measured["priors/plgmi: iteration"]["value"]
    step = measured["searches/plgmi: step"]["value"]
    found = gpu_hours.load().table(gpu_hours.TABLES["7"])
    assert found["targets"] == pytest.approx((4 * epoch + plain) * 50 / 3600)
    assert found["priors"] == pytest.approx((4 * 30000 * iteration + 56160 * floor) / 3600)
    assert found["searches"] == pytest.approx(4 * 600 * 50 * step / 3600)  # 50 batches of 100


def test_gmi_learns_one_public_prior_for_all_targets() -> None:
    costs = gpu_hours.load()
    one = costs.table([gpu_hours.Runs({"none": 1}, ("gmi",))])
    ten = costs.table([gpu_hours.Runs({"none": 10}, ("gmi",))])
    assert one["priors"] == ten["priors"] == pytest.approx(costs.prior("gmi") / 3600)
    assert ten["searches"] == pytest.approx(10 * one["searches"])


@pytest.mark.parametrize(("attack", "batch"), [("kedmi", 250), ("lomma_kedmi", 50)])
def test_a_search_over_distributions_is_made_once_a_person(
    attack: str, batch: int, measured: dict[str, dict[str, Any]]
) -> None:
    """Its images are draws from what one search found: 1,000 people, not 5,000 images."""
    step = measured[f"searches/{attack}: step"]
    assert step["batch_size"] == batch
    by_hand = 1500 * 1000 / batch * step["value"]
    assert gpu_hours.load().search(attack) == pytest.approx(by_hand)


def test_hours_of_searches_are_those_of_the_plan() -> None:
    """`trapmid plan --card` counts the rows of the profile by itself."""
    card = Card.read(gpu_hours.MEASURED)
    planned = {}
    for profile in ("paper", "paper_attacks"):
        study = params.parse(shipped.text(profile, (0,)), "params.yaml")
        planned |= {stage.row: stage.work for stage in work.stages(study) if stage.name == "invert"}
    for attack in ("gmi", "kedmi", "plgmi", "lomma_gmi", "lomma_kedmi"):
        ((unit, count),) = planned[f"{attack}-none-0"]
        cost = card.cost(unit)
        assert cost is not None
        assert gpu_hours.load().search(attack) == pytest.approx(count * cost.seconds, rel=0.001)


@pytest.mark.slow
@pytest.mark.parametrize("line", [one for one in ANSWERED if str(one.table) in gpu_hours.TABLES],
                         ids=name)  # fmt: skip
def test_hours_are_counted_for_the_rows_of_the_command(line: Line) -> None:
    content, runs = composed(line), gpu_hours.TABLES[str(line.table)]
    targets: dict[str, int] = {}
    for row in content["targets"].values():
        known = row["defense"] in ("trapmid", "trapmid_negls") or row["method"] != "trapmid"
        kind = row["defense"] if known else "variant"
        targets[kind] = targets.get(kind, 0) + 1
    trained: dict[str, int] = {}
    searched: dict[str, int] = {}
    for one in runs:
        for defense, count in one.targets.items():
            trained[defense] = trained.get(defense, 0) + count * one.trained
            for attack in one.attacks:
                searched[attack] = searched.get(attack, 0) + count
    trained.setdefault("none", 1)  # of the floor
    assert targets == trained
    found: dict[str, int] = {}
    for row in content["attack_runs"].values():
        name = row["method"] if row["method"] != "lomma" else row["attack"]
        found[name] = found.get(name, 0) + 1
    assert found.pop("random") == 1 and found == searched
    priors = {name: searched[name] for name in ("plgmi", "kedmi") if name in searched}
    if "lomma_kedmi" in searched:
        priors.setdefault("kedmi", searched["lomma_kedmi"])
    made: dict[str, int] = {}
    for row in content["guided_priors"].values():
        made[row["method"]] = made.get(row["method"], 0) + 1
    assert made == priors and list(content["public_priors"]) == ["gmi"]


def test_most_of_the_first_table_is_plgmis_prior() -> None:
    costs = gpu_hours.load()
    learnt = 25 * costs.prior("plgmi") / 3600  # five targets of five defences
    share = learnt / sum(costs.table(gpu_hours.TABLES["1"]).values())
    assert f"prior is {share:.0%} of".replace("%", " %") in PERFORMANCE


def test_reproduce_has_the_table_that_the_script_prints() -> None:
    document = (ROOT / "docs/reproduce.md").read_text("utf-8")
    assert gpu_hours.markdown(gpu_hours.load()) in document


def test_the_profile_for_an_hour_takes_one(measured: dict[str, dict[str, Any]]) -> None:
    profile = yaml.safe_load((ROOT / "profiles/celeba_mid.yaml").read_text("utf-8"))
    hours = gpu_hours.mid(gpu_hours.load(), profile, people=126, images=3049)
    assert 0.7 < hours < 1  # evaluators and scores come to it
    # A sum by hand, in seconds
    epoch = {
        name: measured[f"training/default: {name}: epoch"]["value"] for name in ("none", "trapmid")
    }
    targets = ((60 + 60 + 80) * epoch["none"] + 60 * epoch["trapmid"]) * 3049 / 27000
    gmi = 12000 * measured["priors/gmi: iteration"]["value"]
    gmi += 4 * 1000 * 630 / 250 * measured["searches/gmi: step"]["value"]
    plgmi = 5 * 1000 * measured["priors/plgmi: iteration"]["value"]
    plgmi += 5 * 200 * 630 / 100 * measured["searches/plgmi: step"]["value"]
    assert hours == pytest.approx((targets + gmi + plgmi) / 3600)
    assert f"{60 * hours:.0f} minutes of it were timed" in PERFORMANCE
