"""What a training begins with: its seed, its precision, and the key of its unfinished work.

A stage that left a parameter or a file out of that key would go on with the state of another
training. Nothing is trained here: every stage is stopped where it asks for its state.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from checkout import Checkout

from trapmid.artifacts import scratch
from trapmid.artifacts.lineage import file_digest
from trapmid.config import params
from trapmid.runtime import Runtime

pytestmark = pytest.mark.slow

PUBLIC = "data/prepared/toy/public.pt"
TRAPMID = "models/targets/trapmid-0/model.pt"
CLASSIFIER = "classifier_training.target"


class Case(NamedTuple):
    """A row, what it reads, and one value of each block that decides its result."""

    command: str
    section: str
    files: tuple[str, ...]
    edits: dict[str, Any]
    precision: str = ""  # where it stands; "": there is no choice


CASES = [
    Case(
        "train_target targets trapmid-0",
        "targets",
        ("data/prepared/toy/private.pt", "weights/random"),
        {f"{CLASSIFIER}.lr": 0.01, "trapdoor.beta": 0.2},
        f"{CLASSIFIER}.precision",
    ),
    Case(
        "train_prior public_priors gmi",
        "public_priors",
        (PUBLIC, "weights/random"),
        {"prior_training.gmi.lr": 0.01},  # its precision: GMI works in fp32 alone
    ),
    Case(
        "train_prior guided_priors plus_plus-trapmid-0",
        "guided_priors",
        (PUBLIC, "weights/random", TRAPMID, "models/signatures/trapmid-0.pt"),
        {"prior_training.plgmi.steps": 4},
        "prior_training.plgmi.precision",
    ),
    Case(
        "train_surrogate students-trapmid-0",
        "surrogates",
        (PUBLIC, TRAPMID, "weights/random"),
        {"surrogate_training.distil.lr": 0.01},
        "surrogate_training.distil.precision",
    ),
    Case(
        "train_judge attributes",
        "trained_judges",
        (PUBLIC, "data/prepared/toy/manifest.csv", "data/raw/toy/celeba/list_attr_celeba.txt"),
        {"judge_training.attributes.lr": 0.01},
    ),
    Case(
        "invert plus_plus-trapmid-0",
        "attack_runs",
        (
            TRAPMID,
            "models/priors/guided/plus_plus-trapmid-0/prior.pt",
            "models/signatures/trapmid-0.pt",
        ),
        {"inversion.images_per_class": 3, "attacks.plgmi.steps": 4},
    ),
]


class Begun(NamedTuple):
    key: str
    files: list[str]  # their digests
    rt: Runtime


Begin = Callable[[str, dict[str, Any]], Begun]


@pytest.fixture
def begin(study: Checkout, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Runs a stage under edited parameters up to the place where it asks for its state."""
    file = study.root / "params.yaml"
    text = file.read_text(encoding="utf-8")
    keys: list[tuple[Any, ...]] = []
    made: list[Runtime] = []

    def stop(root: Path, title: str, *identity: Any) -> NoReturn:
        keys.append(identity)
        raise KeyboardInterrupt

    monkeypatch.setattr(scratch, "scratch", stop)
    monkeypatch.setattr(Runtime, "__post_init__", lambda self: made.append(self))

    def run(command: str, edits: dict[str, Any]) -> Begun:
        content = dict(params.parse(text))
        for place, value in edits.items():
            above, _, key = place.rpartition(".")
            part = params.section(content, above)
            assert part[key] != value
            part[key] = value
        file.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(KeyboardInterrupt):
            study.inside(command)
        return Begun(json.dumps(keys[-1], sort_keys=True), keys[-1][1], made[-1])

    return run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command)
def test_a_state_belongs_to_all_that_decides_the_result(
    study: Checkout, begin: Begin, case: Case
) -> None:
    plain = begin(case.command, {})
    assert begin(case.command, {}).key == plain.key
    assert sorted(plain.files) == sorted(file_digest(study.root / file) for file in case.files)
    seed = f"{case.section}.{case.command.split()[-1]}.seed"
    reseeded = begin(case.command, {seed: 7})
    assert reseeded.rt.seed == 7
    others = [reseeded, *(begin(case.command, {place: new}) for place, new in case.edits.items())]
    assert len({plain.key, *(other.key for other in others)}) == 1 + len(others)
    if case.precision:
        assert plain.rt.precision == "fp32"
        assert begin(case.command, {case.precision: "bf16"}).rt.precision == "bf16"
