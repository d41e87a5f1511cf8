"""A broken attack, defence or evaluator never passes the gate.

One small study is computed and made the baseline. Every fault is planted in a copy of it, and the
stages that its numbers need run again. Then the named lines of the gate's table must be red, or a
stage must have refused to go on.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from checkout import Checkout

from trapmid import cli
from trapmid.artifacts import checkpoints, lineage
from trapmid.config import params
from trapmid.config.evaluation import Checks
from trapmid.data.pixels import pixel_hash
from trapmid.report import summary
from trapmid.scoring import checks, study_checks
from trapmid.scoring.scores import (
    AttackScores,
    EvaluatorScores,
    JudgeScores,
    TargetScores,
    read_all,
)

pytestmark = pytest.mark.slow

NONE, TRAPPED, EVALUATOR = "targets/none-0", "targets/trapmid-0", "evaluators/evaluator"
ATTACK_RUNS = ("random-none-0", "gmi-none-0", "gmi-trapmid-0", "plgmi-none-0", "plgmi-trapmid-0")
PREPARED = "data/prepared/digits"


def search(*attack_runs: str) -> list[str]:
    """The stages from the attacks on."""
    return [
        f"{stage} {attack_run}" for attack_run in attack_runs for stage in ("invert", "evaluate")
    ]


def score(*attack_runs: str) -> list[str]:
    return [f"evaluate {attack_run}" for attack_run in attack_runs]


ATTACK_TRAPPED = ["train_prior guided_priors plgmi-trapmid-0"]
ATTACK_TRAPPED += search("gmi-trapmid-0", "plgmi-trapmid-0")
WHOLE = [
    *("digest_code", "make_raw digits", "prepare_data digits", "validate_data digits"),
    *("train_target evaluators evaluator", "evaluate_evaluator evaluator"),
    *("train_target targets none-0", "evaluate_target none-0"),
    *("train_target targets trapmid-0", "evaluate_target trapmid-0"),
    *("train_prior public_priors gmi", "train_prior guided_priors plgmi-none-0"),
    *search("random-none-0", "gmi-none-0", "plgmi-none-0"),
    *ATTACK_TRAPPED,
]


class Printed(NamedTuple):
    """What `trapmid gate` did."""

    code: int  # 0: green, 1: red, 2: an error
    table: str
    error: str

    def red(self) -> set[str]:
        """The metrics and checks whose lines say FAIL."""
        return {line.split()[0] for line in self.table.splitlines() if "  FAIL" in line}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The correct study and its baseline. Look, do not touch: take a `study`."""
    made = Checkout.make(tmp_path_factory.mktemp("planted") / "study", "planted")
    run(made, WHOLE)
    make_baseline(made)
    return made


@pytest.fixture
def study(finished: Checkout, tmp_path: Path) -> Checkout:
    return finished.copy(tmp_path / "study")


@pytest.fixture
def gate(study: Checkout, monkeypatch, capsys) -> Callable[..., Printed]:
    """Makes metrics.json of the scores and runs `trapmid gate`."""

    def judged(
        change: Callable[[dict[str, Any]], None] = lambda metrics: None, *words: str
    ) -> Printed:
        summarise(study, change)
        monkeypatch.chdir(study.root)
        capsys.readouterr()
        return Printed(cli.main(["gate", *words]), *capsys.readouterr())

    return judged


def run(study: Checkout, commands: list[str]) -> None:
    for command in commands:
        assert study.inside(command) is None, command


def summarise(
    study: Checkout, change: Callable[[dict[str, Any]], None] = lambda metrics: None
) -> None:
    """Writes metrics.json as the stage `report` does, without its pictures; `change` edits it."""
    content = params.read(study.root / "params.yaml")
    kinds = (EvaluatorScores, TargetScores, AttackScores)
    scores = [read_all(kind, study.root, content[kind.section]) for kind in kinds]
    bounds = params.build(Checks, content["checks"], "checks")
    judges = read_all(JudgeScores, study.root, content["judges"])
    verdicts = study_checks.study(*scores, bounds, judges)
    metrics = summary.summarise(content, *scores, checks.verdicts(verdicts))
    change(metrics)
    text = json.dumps([metrics], indent=2, sort_keys=True)
    (study.root / "reports/metrics.json").write_text(text, encoding="utf-8")


def make_baseline(study: Checkout) -> None:
    """Makes today's scores those that the gate compares with."""
    summarise(study)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study.root)
        assert cli.main(["gate", "--update"]) == 0


# --- how a study is broken ------------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replaces parts of a file of tensors."""
    content = checkpoints.load(path)
    checkpoints.save(path, content | change(content))


def trapdoor_not_learnt(study: Checkout) -> None:
    study.edit("params.yaml", "\n  alpha: 0.3\n  beta: 0.5\n", "\n  alpha: 0.3\n  beta: 0.0\n")


def search_that_stands_still(study: Checkout) -> None:
    study.edit("params.yaml", "  gmi:\n    steps: 100\n", "  gmi:\n    steps: 1\n")


def images(
    change: Callable[[torch.Tensor], torch.Tensor], *attack_runs: str
) -> Callable[..., None]:
    """The reconstructions of some attacks are others."""

    def plant(study: Checkout) -> None:
        for attack_run in attack_runs:
            path = study.root / f"data/reconstructions/{attack_run}.pt"
            rewrite(path, lambda content: {"images": change(content["images"])})

    return plant


def noise(made: torch.Tensor) -> torch.Tensor:
    return torch.rand(made.shape, generator=torch.Generator().manual_seed(0))


def under_other_labels(made: torch.Tensor) -> torch.Tensor:
    """Every image stands where one of the next class stood; ten images are of one class."""
    return made.roll(10, dims=0)


def signed(made: torch.Tensor) -> torch.Tensor:
    return (2 * made - 1).clamp(-1, 1)


def eight_bit(made: torch.Tensor) -> torch.Tensor:
    return 255 * made


def blue_first(made: torch.Tensor) -> torch.Tensor:
    return made.flip(1)


def checkpoint(source: str, place: str) -> Callable[..., None]:
    """One classifier's checkpoint lies where another's should be."""

    def plant(study: Checkout) -> None:
        models = study.root / "models"
        shutil.copy2(models / source / "model.pt", models / place / "model.pt")

    return plant


def undefended_weights(study: Checkout) -> None:
    """The checkpoint says Trap-MID and has its triggers, but its weights never saw them."""
    models = study.root / "models"
    state = checkpoints.load(models / NONE / "model.pt")["state"]
    rewrite(models / TRAPPED / "model.pt", lambda content: {"state": state})


def permuted_head(target: str) -> Callable[..., None]:
    """The outputs of a target stand for other people than its labels."""

    def change(content: dict[str, Any]) -> dict[str, Any]:
        head = {name: content["state"][name].roll(1, dims=0) for name in HEAD}
        return {"state": content["state"] | head}

    return lambda study: rewrite(study.root / f"models/{target}/model.pt", change)


HEAD = ("classifier.weight", "classifier.bias")


def leak_between_splits(study: Checkout) -> None:
    """The first test image is a training image, in the tensors and in the manifest."""
    folder = study.root / PREPARED
    leaked = checkpoints.load(folder / "private.pt")["train_images"][0]

    def change(content: dict[str, Any]) -> dict[str, Any]:
        return {"test_images": torch.cat([leaked[None], content["test_images"][1:]])}

    rewrite(folder / "private.pt", change)
    rows = list(csv.DictReader(io.StringIO((folder / "manifest.csv").read_text())))
    next(row for row in rows if row["split"] == "test")["hash"] = pixel_hash(leaked)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def tint(study: Checkout) -> None:
    """Every digit between red and blue: a private one by its class, a public one by chance."""
    folder = study.root / PREPARED

    def of_class(content: dict[str, Any]) -> dict[str, Any]:
        last = len(content["identities"]) - 1
        return {
            f"{split}_images": tinted(content[f"{split}_images"], content[f"{split}_labels"] / last)
            for split in ("train", "val", "test")
        }

    def by_chance(content: dict[str, Any]) -> dict[str, Any]:
        shares = torch.rand(len(content["images"]), generator=torch.Generator().manual_seed(0))
        private = checkpoints.load(folder / "private.pt")
        return lineage.public_content(tinted(content["images"], shares), private)

    rewrite(folder / "private.pt", of_class)
    rewrite(folder / "public.pt", by_chance)


def tinted(grey: torch.Tensor, red: torch.Tensor) -> torch.Tensor:
    """Digits (N, 3, S, S) uint8 whose channels are dimmed by red (N,), one half, and 1 - red."""
    shades = torch.stack([red, torch.full_like(red, 0.5), 1 - red], dim=1)
    return (grey * shades[:, :, None, None]).round().to(torch.uint8)


def scores_of_another_seed(study: Checkout) -> None:
    path = study.root / "reports/scores/attack_runs/gmi-trapmid-0.json"
    scores = json.loads(path.read_text(encoding="utf-8"))[0]
    path.write_text(json.dumps([scores | {"seed": 1}]), encoding="utf-8")


def scores_missing(study: Checkout) -> None:
    (study.root / "reports/scores/attack_runs/gmi-trapmid-0.json").unlink()


def row_left_out(study: Checkout) -> None:
    text = (study.root / "params.yaml").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("  plgmi-trapmid-0: {attack")]
    (study.root / "params.yaml").write_text("\n".join(kept), encoding="utf-8")


# --- what the gate says ---------------------------------------------------------------------------


def test_the_correct_study_is_green(gate):
    printed = gate()
    assert printed.code == 0, printed
    assert printed.red() == set()


# What is planted, what runs again, and the lines that must be red. Of a broken target its own line
# is red before anything attacks it: the attacks on it run again for one fault alone.
FAULTS = {
    "1 trapdoor not learnt": (
        trapdoor_not_learnt,
        ["train_target targets trapmid-0", "evaluate_target trapmid-0"],
        {"targets.trapmid.trapdoor_success", "checks.trapdoor_success"},
    ),
    "2 search that stands still": (
        search_that_stands_still,
        search("gmi-none-0"),
        {"attacks.gmi.none.aa1"},
    ),
    "3 noise for an undefended target": (
        images(noise, "plgmi-none-0"),
        score("plgmi-none-0"),
        {"attacks.plgmi.none.aa1", "checks.target_agreement"},
    ),
    "3 noise for a protected target": (
        images(noise, "plgmi-trapmid-0"),
        score("plgmi-trapmid-0"),
        {"checks.target_agreement"},
    ),
    "4 shuffled, undefended": (
        images(under_other_labels, "plgmi-none-0"),
        score("plgmi-none-0"),
        {"attacks.plgmi.none.aa1", "checks.target_agreement"},
    ),
    "4 shuffled, protected": (
        images(under_other_labels, "plgmi-trapmid-0"),
        score("plgmi-trapmid-0"),
        {"checks.target_agreement"},
    ),
    "5 the evaluator is the target": (
        checkpoint(NONE, EVALUATOR),
        ["evaluate_evaluator evaluator", *score(*ATTACK_RUNS)],
        {"checks.evaluator_is_another_network"},
    ),
    "6 a test image was trained on": (
        leak_between_splits,
        ["evaluate_evaluator evaluator", "evaluate_target none-0", "evaluate_target trapmid-0"],
        {"checks.splits_disjoint"},
    ),
    "7 permuted head, undefended": (
        permuted_head(NONE),
        ["evaluate_target none-0"],
        {"targets.none.test_accuracy", "checks.checkpoint_verified", "checks.undefended_accuracy"},
    ),
    "7 permuted head, protected": (
        permuted_head(TRAPPED),
        ["evaluate_target trapmid-0"],
        {"targets.trapmid.test_accuracy", "checks.checkpoint_verified"},
    ),
    "8 signed images, undefended": (
        images(signed, "plgmi-none-0"),
        score("plgmi-none-0"),
        {"attacks.plgmi.none.aa1"},
    ),
    "8 signed images, protected": (
        images(signed, "gmi-trapmid-0"),
        score("gmi-trapmid-0"),
        {"checks.target_agreement"},
    ),
    "9 checkpoint of an undefended target": (
        checkpoint(NONE, TRAPPED),
        ["evaluate_target trapmid-0"],
        {"targets.trapmid.trapdoor_success"},
    ),
    "9 undefended weights": (
        undefended_weights,
        ["evaluate_target trapmid-0", *ATTACK_TRAPPED],
        {"attacks.plgmi.trapmid.aa1", "worst.trapmid.aa1", "targets.trapmid.trapdoor_success"},
    ),
    "10 row left out": (row_left_out, [], {"attacks.plgmi.trapmid.aa1", "worst.trapmid.attacks"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_red(study, gate, fault):
    plant, stages, lines = FAULTS[fault]
    plant(study)
    run(study, stages)
    printed = gate()
    assert printed.code == 1
    assert lines <= printed.red(), printed.table


COLOURED = [
    *("train_target evaluators evaluator", "evaluate_evaluator evaluator"),
    *("train_target targets none-0", "evaluate_target none-0"),
    *("train_prior guided_priors plgmi-none-0", *search("plgmi-none-0")),
]


def test_colours_in_another_order_are_red(study, gate):
    """Grey digits look alike in every order: here they are tinted, and the baseline is theirs."""
    tint(study)
    run(study, COLOURED)
    make_baseline(study)
    assert gate().red() == set()
    images(blue_first, "plgmi-none-0")(study)
    run(study, score("plgmi-none-0"))
    printed = gate()
    assert printed.code == 1
    assert {"attacks.plgmi.none.aa1", "checks.target_agreement"} <= printed.red(), printed.table


REFUSED = {
    "6 a test image was trained on": (
        leak_between_splits,
        "validate_data digits",
        "private: expect_column_values_to_be_in_set(split_twin)",
    ),
    "8 images of eight bits": (
        images(eight_bit, "plgmi-none-0"),
        "evaluate plgmi-none-0",
        "evaluate: error: reconstructions: pixels of size 25",
    ),
    "10 scores of another seed": (
        scores_of_another_seed,
        "report",
        "report: error: reports/scores/attack_runs/gmi-trapmid-0.json: "
        "seed: 1, but params.yaml says 0; `dvc repro` renews it",
    ),
    "10 scores missing": (
        scores_missing,
        "report",
        "report: error: reports/scores/attack_runs/gmi-trapmid-0.json: no such file; "
        "`dvc repro` makes it",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_stage_refuses_a_planted_fault(study, fault):
    plant, stage, words = REFUSED[fault]
    plant(study)
    assert words in str(study.inside(stage))


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"profile": "small"}, "is of profile planted, the scores are of small"),
        ({"seeds": [1]}, "is of seed 0, the scores are of seed 1"),
        ({"seeds": [0, 1]}, "is of seed 0, the scores are of seeds 0, 1"),
    ],
)
def test_scores_of_another_study_are_not_compared(gate, origin, words):
    """Fault 10 of a whole study: with other people drawn, no tolerance means anything."""

    def another(metrics):
        metrics["study"].update(origin)

    printed = gate(another, "--scores", "reports/metrics.json")
    assert printed.code == 2 and printed.table == ""
    assert f"reports/baseline.json {words}" in printed.error
    printed = gate(another)  # which takes them for those of params.yaml
    assert printed.code == 2 and "params.yaml is profile planted, seeds 0" in printed.error
