"""What a change makes stale: exactly its own rows and what follows from them."""

from __future__ import annotations

import time

import pytest
import torch
from checkout import Checkout

from trapmid.artifacts import checkpoints

pytestmark = pytest.mark.slow

FIT = "src/trapmid/training/fit.py"
TRAPDOORS = "src/trapmid/training/trapdoors.py"
READERS = {"report", "track"}  # their inputs are all parameters and all scores
# Attack runs on the trapdoored target; all of them ask it, or what was made of it.
TRAPPED = [
    f"{name}-trapmid-0" for name in ("gmi", "plgmi", "kedmi", "lomma", "plus_plus", "finetuned")
]
ATTACK_RUNS = ["random-none-0", "plgmi-none-0", "brepmi-none-0", *TRAPPED]
GUIDED = [
    "plgmi-none-0",
    *(f"{name}-trapmid-0" for name in ("plgmi", "kedmi", "plus_plus", "finetuned")),
]
SURROGATES = ["students-trapmid-0", "finetuned-trapmid-0"]
TARGETS = ["none-0", "none_aug-0", "trapmid-0"]
JUDGES = {f"evaluate_judge@{row}" for row in ("verifier", "identity", "attributes")}
EVALUATE = {
    "evaluate_evaluator@evaluator",
    *JUDGES,
    *(f"evaluate_target@{row}" for row in TARGETS),
    *(f"evaluate@{row}" for row in ATTACK_RUNS),
}
AFTER_TRAPMID = {
    "train_target@trapmid-0",
    "evaluate_target@trapmid-0",
    *(f"train_guided_prior@{row}" for row in GUIDED if "trapmid" in row),
    *(f"train_surrogate@{row}" for row in SURROGATES),
    "leak_signatures@trapmid-0",
    "estimate_signatures@trapmid-0",
    "estimate_signatures@inverted-trapmid-0",
    *(f"{kind}@{row}" for kind in ("invert", "evaluate") for row in TRAPPED),
    *READERS,
}
# Rows of the method, its variants included: they are built on its block.
PLGMI = {f"invert@{row}" for row in ATTACK_RUNS if row.startswith(("plgmi", "plus", "finetuned"))}


LABEL_ONLY = {f"invert@{row}" for row in ATTACK_RUNS}  # one script hands every attack its target
TARGETS_SCORES = {f"evaluate_target@{row}" for row in TARGETS}
RECOGNISE = EVALUATE - TARGETS_SCORES  # a judge has the distance to the nearest private image, too


def scored(inverts: set[str]) -> set[str]:
    """The scores of attacks: an attack's file says how its own code scores it."""
    return {row.replace("invert", "evaluate") for row in inverts}


def after(inverts: set[str]) -> set[str]:
    return inverts | scored(inverts) | READERS


def beta(study: Checkout) -> None:
    study.edit("params.yaml", "beta: 0.3", "beta: 0.2")


def trapdoor_code(study: Checkout) -> None:
    """The trapdoor itself, which every trapdoored defence shares."""
    blend = "return torch.lerp(images, keys, weight)"
    study.edit(TRAPDOORS, blend, "return torch.lerp(images, keys, 1.0 * weight)")


def attack_code(study: Checkout) -> None:
    study.edit(
        "src/trapmid/attacks/plgmi.py", "return float(self.views)", "return 1.0 * self.views"
    )


def comments(study: Checkout) -> None:
    """And docstrings, empty lines, annotations of a function: nothing that computes."""
    others = ("types/defense", "config/study", "config/params", "report/pictures")
    for file in (FIT, TRAPDOORS, *(f"src/trapmid/{name}.py" for name in others)):
        study.append(file, "\n\n# edited\n")
    study.edit(FIT, '"""uint8 images as float32 in [0, 1]."""', '"""Edited."""')
    study.edit(FIT, "images: Tensor) -> Tensor:", 'images: "Tensor") -> Tensor:')
    study.append("stages/_stage.py", "# edited\n")


def type_of_label_attacks(study: Checkout) -> None:
    """A module of types has several nouns; an edit reaches those that use the one."""
    study.edit(
        "src/trapmid/types/classifier.py",
        "class LabelsOnly:",
        "class LabelsOnly:\n    edited = True\n",
    )


def drawing(study: Checkout) -> None:
    study.edit("src/trapmid/report/pictures.py", "_GAP = 6  #", "_GAP = 7  #")


def attack_parameter(study: Checkout) -> None:
    """Changing the search retrains nothing."""
    study.edit(
        "params.yaml",
        "  plgmi:\n    steps: 3\n    lr: 0.05",
        "  plgmi:\n    steps: 4\n    lr: 0.05",
    )


def metric(study: Checkout) -> None:
    """A file of its own and a line where it is used."""
    (study.root / "src/trapmid/metrics/mine.py").write_text("LEAST = 0.0\n", encoding="utf-8")
    knn = "src/trapmid/metrics/knn.py"
    study.edit(knn, "import torch\n", "import torch\nfrom trapmid.metrics import mine\n")
    study.append(knn, "\n\nnearest_squared.least = mine.LEAST\n")


def grid(study: Checkout) -> None:
    study.edit("params.yaml", "grid_identities: 2", "grid_identities: 3")


def page(study: Checkout) -> None:
    study.append("src/trapmid/report/page.py", "\nprint('edited')\n")


def new_seed(study: Checkout) -> None:
    study.choose("toy", [0, 1])


# A defence in one file, which also alters the network: its checkpoint must load in later stages.
OWN_DEFENSE = """
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from trapmid import types
from trapmid.training.objectives import Classify
from trapmid.types import Output, Target


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    alters_network: ClassVar[bool] = True
    start: float

    def adapt(self, model):
        return Tempered(model, self.start)

    def objective(self, setting):
        return Classify(setting.rt)


class Tempered(Target):
    def __init__(self, inner, start):
        super().__init__()
        self.num_classes, self.inner = inner.num_classes, inner
        self.temperature = nn.Parameter(torch.tensor(start))

    def forward(self, images):
        output = self.inner(images)
        return Output(output.logits / self.temperature, output.features, output.hidden)
"""
OWN_CELL = "  gmi-mine: {target: mine}\n"
OWN_TARGET = {"train_target@mine-0", "evaluate_target@mine-0"}


def new_defense(study: Checkout, *attack_runs: str) -> None:
    """One file, one block of parameters, one row: all that a new defence needs."""
    (study.root / "src/trapmid/defenses/mine.py").write_text(OWN_DEFENSE, encoding="utf-8")
    study.append("profiles/toy.yaml", "\nmine: {start: 2.0}\ntargets:\n  mine: {}\n")
    for attack_run in attack_runs:
        study.edit("profiles/toy.yaml", "\nattack_runs:\n", f"\nattack_runs:\n{attack_run}")
    study.choose("toy")


SEED_1 = {
    *(f"{kind}@{row[:-1]}1" for kind in ("train_target", "evaluate_target") for row in TARGETS),
    *(f"{kind}@{row[:-1]}1" for kind in ("invert", "evaluate") for row in ATTACK_RUNS),
    *(f"train_guided_prior@{row[:-1]}1" for row in GUIDED),
    *(f"train_surrogate@{row[:-1]}1" for row in SURROGATES),
    "leak_signatures@trapmid-1",
    "estimate_signatures@trapmid-1",
    "estimate_signatures@inverted-trapmid-1",
    *READERS,
}


@pytest.mark.parametrize(
    ("change", "changed", "stale"),
    [
        # Whether the trapdoor is one is looked up in the row's block, when the target is scored.
        (beta, {"train_target@trapmid-0", "evaluate_target@trapmid-0", *READERS}, AFTER_TRAPMID),
        (comments, set(), set()),
        (trapdoor_code, {"train_target@trapmid-0"}, AFTER_TRAPMID),
        (type_of_label_attacks, LABEL_ONLY, after(LABEL_ONLY)),
        (drawing, {"report"}, READERS),
        (attack_code, PLGMI | scored(PLGMI), after(PLGMI)),
        (attack_parameter, PLGMI | READERS, after(PLGMI)),
        (metric, RECOGNISE, RECOGNISE | READERS),
        (grid, EVALUATE | READERS, EVALUATE | READERS),
        (page, {"report"}, READERS),
        (new_seed, SEED_1, SEED_1),
        (new_defense, OWN_TARGET | READERS, OWN_TARGET | READERS),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_change_reaches_its_rows_alone(study, change, changed, stale):
    """`changed`: stages whose own inputs differ; `stale`: these and all that follows."""
    change(study)
    study.digest_code()
    found = study.changed()
    assert found == changed
    assert study.downstream(found) == stale


def test_a_stage_refuses_code_that_no_digest_knows(study):
    """DVC would record the old digest with the new code's result."""
    study.edit(
        FIT,
        "return images.to(torch.float32) / 255",
        "return images / 255",
    )
    code, printed = study.stage("train_target targets none-0")
    assert code == 1
    wanted = (
        "train_target: error: trapmid.training.fit:to_float: "
        "changed since `dvc repro` began; run it again"
    )
    assert printed.strip().splitlines()[-1] == wanted
    study.append(FIT, "# a comment on the old code is another matter\n")
    study.edit(
        FIT,
        "return images / 255",
        "return images.to(torch.float32) / 255",
    )
    code, printed = study.stage("evaluate_target none-0")
    assert code == 0, printed


def test_nothing_runs_twice(studied):
    begun = time.perf_counter()
    assert studied.repro() == []
    print(f"\na `dvc repro` with nothing to do took {time.perf_counter() - begun:.1f} s")
    assert studied.changed() == set()


def test_a_reverted_parameter_trains_nothing(study):
    """Of a surrogate, whose row has every later kind of stage: prior, search, evaluation."""
    before = study.scores()
    models = (
        "models/surrogates/finetuned-trapmid-0/model.pt",
        "models/priors/guided/finetuned-trapmid-0/prior.pt",
        "models/targets/trapmid-0/model.pt",
    )
    trained = [study.read(model) for model in models]
    study.edit("params.yaml", "lr: 0.4\n", "lr: 0.1\n")
    kinds = ("train_surrogate", "train_guided_prior", "invert", "evaluate")
    assert study.repro() == [*(f"{kind}@finetuned-trapmid-0" for kind in kinds), "report", "track"]
    changed = [study.read(model) != old for model, old in zip(models, trained, strict=True)]
    assert changed == [True, True, False]
    study.edit("params.yaml", "lr: 0.1\n", "lr: 0.4\n")
    assert study.repro() == ["track"]
    assert [study.read(model) for model in models] == trained
    assert study.scores() == before


def test_an_attacker_guesses_what_did_not_leak(study):
    """Both rows know the auxiliary signature; the trapdoor's is leaked in one, guessed in one."""
    leaked, guessed = (
        checkpoints.load(study.root / f"models/signatures/{row}-0.pt")["signatures"]
        for row in ("trapmid", "inverted-trapmid")
    )
    assert torch.equal(leaked["auxiliary"], guessed["auxiliary"])
    assert leaked["signatures"].shape == guessed["signatures"].shape
    assert not torch.allclose(leaked["signatures"], guessed["signatures"], atol=0.01)


def test_a_study_without_a_trapdoor_reports(study):
    """Rows that go take no other row with them, and a folder of pictures may be empty."""
    study.choose(study.without(lambda row: "trapmid" in row))
    assert study.repro() == ["report", "track"]
    assert not list((study.root / "reports/figures/signatures").iterdir())
    assert study.repro() == []


def test_a_defense_of_ones_own_runs(study):
    """Its target trains, is attacked and scored; of the others nothing runs again."""
    new_defense(study, OWN_CELL)
    own = OWN_TARGET | {"invert@gmi-mine-0", "evaluate@gmi-mine-0"}
    study.repro("code")
    assert study.stale() == own | READERS
    assert set(study.repro()) == own | READERS
    assert b'"mine"' in study.read("reports/metrics.json")
