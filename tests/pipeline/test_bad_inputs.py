"""What a stage says about wrong input: one line that names the key or the file, and exit code 1."""

from __future__ import annotations

import errno
import json
import os
import sys

import pytest
from checkout import Checkout

from trapmid.artifacts import checkpoints

pytestmark = pytest.mark.slow

TARGET = "train_target targets trapmid-0"
PRIOR = "train_prior guided_priors plgmi-none-0"
ATTACK = "invert plgmi-none-0"
NONE = "queried_model: models/targets/none-0"


@pytest.fixture
def fails(study: Checkout):
    """Runs a stage in this process, which must end with one line; returns the line."""

    def run(command: str) -> str:
        message = study.inside(command)
        assert message and message.startswith(f"{command.split()[0]}: error: ")
        assert "\n" not in message
        assert study.half_written() == []
        return message

    return run


@pytest.mark.parametrize(
    ("command", "old", "new", "words"),
    [
        (TARGET, "beta: 0.3", "beta: abc", "trapdoor.beta: must be float, is 'abc'"),
        (TARGET, "beta: 0.3", "beta: 1.5", "trapdoor.beta: 1.5 is outside [0, 1]"),
        (TARGET, "beta: 0.3", "betta: 0.3", "trapdoor: missing ['beta']"),
        (TARGET, "beta: 0.3", "beta: 0.3\n  gamma: 1", "trapdoor: unknown ['gamma']"),
        (TARGET, "beta: 0.3", "beta: [", "params.yaml: while parsing"),
        (
            TARGET,
            "select: val",
            "select: best",
            "classifier_training.target.select: 'best' is not one of val",
        ),
        (PRIOR, "top_n: 8", "top_n: 65", "top_n: 65 is more than the 64 public images"),
        (
            PRIOR,
            "identity_loss: margin",
            "identity_loss: mse",
            "prior_training.plgmi.identity_loss",
        ),
        (ATTACK, "views: 2", "views: two", "attacks.plgmi.views: must be int, is 'two'"),
        (ATTACK, "images_per_class: 2", "images_per_class: 2.5", "inversion.images_per_class"),
        ("evaluate plgmi-none-0", "matched_size: 2", "matched_size: 0", "evaluation.matched_size"),
        ("train_target targets nobody", "beta: 0.3", "beta: 0.3", "targets: no 'nobody'; has none"),
    ],
)
def test_a_wrong_parameter_is_named(study, fails, command, old, new, words):
    text = (study.root / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    (study.root / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")
    assert words in fails(command)


def test_a_training_that_diverges_stops_and_leaves_the_old_file(study, fails):
    before = study.read("models/targets/trapmid-0/model.pt")
    text = (study.root / "params.yaml").read_text(encoding="utf-8")
    assert "lr: 0.05" in text
    (study.root / "params.yaml").write_text(text.replace("lr: 0.05", "lr: 1.0e+30"))
    words = "train_target: error: targets trapmid-0: epoch 1 of 3: loss is nan: the training"
    assert fails(TARGET).startswith(words)
    assert study.read("models/targets/trapmid-0/model.pt") == before


def test_a_disk_without_space_is_one_line(study, fails, monkeypatch):
    """The states of the training are a warning each; its result is an error."""
    path = study.root / "models/targets/trapmid-0/model.pt"
    path.unlink()
    sync = os.fsync

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".tmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert "cannot be written: No space left on device" in fails(TARGET)
    assert not path.exists()


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (TARGET, "weights/random"),
        (PRIOR, "data/prepared/toy/public.pt"),
        (ATTACK, "models/targets/none-0/model.pt"),
        ("invert lomma-trapmid-0", "models/surrogates/students-trapmid-0/model.pt"),
        ("estimate_signatures trapmid-0", "models/leaks/trapmid-0.pt"),
        ("evaluate plgmi-none-0", "data/reconstructions/plgmi-none-0.pt"),
        ("evaluate plgmi-none-0", "data/features/evaluators/evaluator.pt"),
        ("evaluate plgmi-none-0", "data/features/targets/none-0.pt"),
        ("report", "reports/scores/attack_runs/plgmi-none-0.json"),
    ],
)
def test_a_missing_file_is_named(study, fails, command, file):
    (study.root / file).unlink()
    assert file in fails(command)


def replace_in_row(study, section, name, old, new):
    path = study.root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    begin = text.index(f"  {name}: {{", text.index(f"\n{section}:"))
    at = text.index(old, begin)
    path.write_text(text[:at] + new + text[at + len(old) :], encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "edit", "words"),
    [
        (
            "leak_signatures trapmid-0",
            ("leaks", "trapmid-0", "target: trapmid-0", "target: none-0"),
            "leaks.trapmid-0.target: none-0 has no trapdoor",
        ),
        (
            "train_surrogate finetuned-trapmid-0",
            ("surrogates", "finetuned-trapmid-0", "arch: small_vgg", "arch: small_resnet"),
            "arch: finetune copies the target, which is small_vgg, not small_resnet",
        ),
        (
            "invert lomma-trapmid-0",
            ("attack_runs", "lomma-trapmid-0", "queried_model: models/targets/trapmid-0", NONE),
            "students-trapmid-0/model.pt: knows another checkpoint than the one that is asked",
        ),
        (
            "invert plus_plus-trapmid-0",
            (
                "attack_runs",
                "plus_plus-trapmid-0",
                "models/signatures/trapmid-0.pt",
                "weights/none",
            ),
            "side_information: the method needs signatures, auxiliary",
        ),
    ],
)
def test_an_attacker_without_what_it_needs(study, fails, command, edit, words):
    replace_in_row(study, *edit)
    assert words in fails(command)


@pytest.mark.parametrize(
    ("command", "section", "change", "words"),
    [
        (TARGET, "targets", "beta: 2.0", "set.beta: 2.0 is outside [0, 1]"),
        (
            "train_surrogate students-trapmid-0",
            "surrogates",
            "batch_size: 0",
            "set.batch_size: 0 is under 1",
        ),
    ],
)
def test_a_wrong_parameter_of_one_row_is_named(study, fails, command, section, change, words):
    """So what a row says beside its method's block reaches the stage."""
    name = command.split()[-1]
    replace_in_row(study, section, name, "seed: 0", f"seed: 0, set: {{{change}}}")
    assert f"{section}.{name}.{words}" in fails(command)


def test_a_row_whose_own_parameters_leave_its_defence_idle_fails_a_check(study):
    replace_in_row(study, "targets", "trapmid-0", "seed: 0", "seed: 0, set: {beta: 0.0}")
    assert study.inside("evaluate_target trapmid-0") is None
    (scores,) = json.loads(study.read("reports/scores/targets/trapmid-0.json"))
    assert scores["checks"]["defense_is_active"] is False


def rewrite(path, **changes):
    checkpoints.save(path, checkpoints.load(path) | changes)


RECONSTRUCTIONS = "data/reconstructions/plgmi-none-0.pt"
PUBLIC = "data/prepared/toy/public.pt"


def test_a_prior_that_asked_another_target_attacks_nobody_else(study, fails):
    replace_in_row(
        study,
        *("attack_runs", "plgmi-none-0", "guided/plgmi-none-0", "guided/plgmi-trapmid-0"),
    )
    assert "plgmi-trapmid-0/prior.pt: belongs to another target than" in fails(ATTACK)


def test_reconstructions_of_another_target_are_not_scored(study, fails):
    other = (study.root / "data/reconstructions/plgmi-trapmid-0.pt").read_bytes()
    (study.root / RECONSTRUCTIONS).write_bytes(other)
    words = f"{RECONSTRUCTIONS}: belongs to another target than models/targets/none-0/model.pt"
    assert words in fails("evaluate plgmi-none-0")


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (PRIOR, PUBLIC),
        ("train_surrogate finetuned-trapmid-0", PUBLIC),
        ("estimate_signatures trapmid-0", PUBLIC),
    ],
)
def test_public_images_beside_other_private_people_guide_nothing(study, fails, command, file):
    rewrite(study.root / file, people="others")
    assert f"{file}: belongs to other private people than models/targets/" in fails(command)


@pytest.mark.parametrize("command", ["evaluate plgmi-none-0", "leak_signatures trapmid-0"])
def test_private_images_of_other_people_are_not_scored(study, fails, command):
    path = study.root / "data/prepared/toy/private.pt"
    labels = checkpoints.load(path)["val_labels"]
    rewrite(path, val_labels=labels.flip(0))
    assert "data/prepared/toy/private.pt: belongs to other private people than" in fails(command)


def test_an_evaluator_of_other_people_judges_nobody(study, fails):
    path = study.root / "models/evaluators/evaluator/model.pt"
    rewrite(path, lineage={"people": "others", "target": None, "sources": {}})
    words = "models/evaluators/evaluator/model.pt: belongs to other private people than"
    assert words in fails("evaluate plgmi-none-0")


def test_a_judge_of_other_people_judges_nobody(study, fails):
    path = study.root / "data/features/judges/verifier.pt"
    rewrite(path, lineage={"people": "others", "target": None, "sources": {}})
    words = "data/features/judges/verifier.pt: belongs to other private people than"
    assert words in fails("evaluate plgmi-none-0")


def test_a_prior_that_starts_from_what_it_must_not_know(study, fails):
    path = study.root / "models/priors/public/gmi/prior.pt"
    people = checkpoints.load(path)["lineage"]["people"]
    for changes, words in (
        ({"people": "others", "target": None}, "belongs to other private people than"),
        ({"people": people, "target": "another"}, "belongs to another target than"),
    ):
        rewrite(path, lineage={"sources": {}, **changes})
        said = fails("train_prior guided_priors kedmi-trapmid-0")
        assert f"models/priors/public/gmi/prior.pt: {words}" in said


def test_a_file_without_its_lineage_is_refused(study, fails):
    path = study.root / "models/targets/none-0/model.pt"
    content = checkpoints.load(path)
    del content["lineage"]
    checkpoints.save(path, content)
    words = "models/targets/none-0/model.pt: does not say what it was made from; `dvc repro`"
    assert words in fails(ATTACK)


def test_a_broken_checkpoint_is_named(study, fails):
    path = study.root / "models/targets/none-0/model.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "models/targets/none-0/model.pt: damaged" in fails(ATTACK)


def test_a_flipped_bit_is_no_other_network(study, fails):
    path = study.root / "models/targets/none-0/model.pt"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    words = "models/targets/none-0/model.pt: damaged, or not written by this version; delete it"
    assert words in fails(ATTACK)


def test_a_checkpoint_of_other_code_is_refused(study, fails):
    path = study.root / "models/targets/none-0/model.pt"
    checkpoints.save(path, checkpoints.load(path) | {"code": "older"})
    assert "made by another version of trapmid.targets.small_vgg" in fails(ATTACK)


@pytest.mark.parametrize(("kind", "row"), [("evaluators", "evaluator"), ("targets", "none-0")])
def test_features_of_another_checkpoint_are_refused(study, fails, kind, row):
    """A retrained classifier, and a file that is about the one before it."""
    path = study.root / f"data/features/{kind}/{row}.pt"
    checkpoints.save(path, checkpoints.load(path) | {"checkpoint": "older"})
    words = f"{kind}/{row}.pt: describes images with another checkpoint than the one that is scored"
    assert words in fails("evaluate plgmi-none-0")


def test_a_linked_folder_in_a_data_set_is_refused(study, fails):
    pictures = study.root / "data/raw/toy/celeba/img_align_celeba"
    pictures.rename(study.root / "elsewhere")
    pictures.symlink_to(study.root / "elsewhere")
    assert "celeba/img_align_celeba: is a link to a folder, behind" in fails("prepare_data toy")


def test_seeds_without_rows_are_refused(study, fails):
    """As `dvc exp run -S seeds=[0,1]` writes them; nothing but the report depends on them."""
    study.edit("params.yaml", "seeds: [0]", "seeds: [0, 1]")
    line = "seeds: [0, 1], but the rows are of [0]; `trapmid profile toy --seeds 0 1` writes rows"
    assert line in fails("report")


def test_weights_that_do_not_fit_are_refused(study, fails):
    study.edit(
        "params.yaml",
        "init: weights/random, data: toy, seed: 0}\n  plgmi-trapmid-0",
        "init: weights/torchvision, data: toy, seed: 0}\n  plgmi-trapmid-0",
    )
    assert "weights/torchvision does not fit a prior" in fails(PRIOR)


def test_a_broken_contract_stops_the_study(tmp_path_factory, study):
    """The real commands: DVC stops at the contract, and nothing trains."""
    study.edit("params.yaml", "images_per_class: [12, 12]", "images_per_class: [13, 20]")
    code, printed = study.process(sys.executable, "-m", "dvc", "repro", "train_target@none-0")
    assert code != 0
    assert "validate_data: error: toy breaks its contract" in printed
    assert "expect_column_values_to_be_between(images)" in printed
    assert "Running stage 'train_target" not in printed
    assert not (study.root / "reports/data/toy.json").exists()


def test_a_real_command_ends_with_exit_code_1(study):
    study.edit("params.yaml", "beta: 0.3", "beta: abc")
    script, *words = TARGET.split()
    code, printed = study.process(sys.executable, f"stages/{script}.py", *words)
    assert code == 1
    assert printed == "train_target: error: trapdoor.beta: must be float, is 'abc' (str)\n"
