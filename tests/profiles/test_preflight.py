"""`trapmid check`: every wrong value of params.yaml is one line that names it."""

from __future__ import annotations

import copy
import functools
import io
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import shipped
from trapmid import cli
from trapmid.profiles import preflight
from trapmid.profiles.sections import BLOCKS
from trapmid.profiles.text import round_trip, written


def _with_every_block(name: str) -> str:
    """params.yaml of a profile, with the blocks that none of its rows uses."""
    made, whole = (round_trip().load(text) for text in (shipped.text(name), shipped.whole(name)))
    for section in (section for section in whole if section != "defaults"):
        if section not in made:
            made[section] = whole[section]
        elif section in BLOCKS:
            made[section] = {**whole[section], **made[section]}
    return written(made)


SMALL = _with_every_block("small")
PLAIN = YAML(typ="safe").load(SMALL)
GUIDED = "guided_priors.plus-trapmid-0"
ATTACK_RUN = "attack_runs.plus-trapmid-0"


def changed(path: str, value: Any, text: str = SMALL) -> str:
    """A params.yaml, the small profile's, with one value replaced or added."""
    stream = io.StringIO()
    YAML(typ="safe").dump(edited(path, value, YAML(typ="safe").load(text)), stream)
    return stream.getvalue()


def edited(path: str, value: Any, content: dict[str, Any]) -> dict[str, Any]:
    """The content with one value replaced or added, in place."""
    *above, key = path.split(".")
    functools.reduce(lambda node, name: node[name], above, content)[key] = value
    return content


@pytest.mark.parametrize("name", shipped.LARGE_ARE_SLOW)
def test_every_profile_passes(name: str) -> None:
    assert preflight.problems(shipped.text(name)) == []
    assert preflight.block_problems(shipped.whole(name)) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("bido:", "bidoo:", None),  # a row may name it
        ("  brepmi:", "  brepmii:", "attacks: no 'brepmii'; there are brepmi, "),
        ("  kedmi: {latent_dim: 64, width", "  kedmi: {latent_dim: 64, widht", "missing ['width']"),
        ("mid: {weight: 0.003", "mid: {weight: -1.0", "mid.weight: "),
    ],
)
def test_a_block_that_no_row_uses_is_checked_too(old, new, line):
    small = (shipped.PROFILES / "small.yaml").read_text(encoding="utf-8")
    assert old in small
    found = preflight.block_problems(small.replace(old, new, 1))
    assert (found == []) if line is None else (len(found) == 1 and line in found[0]), found


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        # counts and rates
        ("attacks.gmi.steps", 0, "attacks.gmi.steps: 0 is under 1"),
        ("attacks.plgmi.steps", -5, "attacks.plgmi.steps: -5 is under 1"),
        ("attacks.kedmi.lr", 0, "attacks.kedmi.lr: 0.0 is not in (0, 1e+30]"),
        ("attacks.brepmi.inside", 33, "attacks.brepmi.inside: 33 is outside 1 .. 32 (points)"),
        ("prior_training.gmi.latent_dim", 0, "prior_training.gmi.latent_dim: 0 is under 1"),
        ("prior_training.plgmi.keep_every", 0, "prior_training.plgmi.keep_every: 0 is under 1"),
        ("prior_training.plgmi.top_n", 0, "prior_training.plgmi.top_n: 0 is under 1"),
        (
            "prior_training.kedmi.betas",
            [0.5, 1.0],
            "prior_training.kedmi.betas[1]: 1.0 is outside [0, 1)",
        ),
        ("surrogate_training.finetune.top_n", 0, "surrogate_training.finetune.top_n: 0 is under 1"),
        (
            "surrogate_training.distil.decay",
            10,
            "surrogate_training.distil.decay: 10.0 is outside (0, 1]",
        ),
        (
            "classifier_training.target.decay",
            10,
            "classifier_training.target.decay: 10.0 is outside (0, 1]",
        ),
        (
            "classifier_training.target.milestones",
            [36, 12],
            "classifier_training.target.milestones: [36, 12] does not ascend",
        ),
        (
            "classifier_training.target.milestones",
            [44],
            "classifier_training.target.milestones: 44 is not reached in 36 epochs",
        ),
        (
            "classifier_training.evaluator.weight_decay",
            -1,
            "classifier_training.evaluator.weight_decay: -1.0 is not in [0, 1e+30]",
        ),
        ("trapdoor.beta", 1.5, "trapdoor.beta: 1.5 is outside [0, 1]"),
        ("trapdoor.augmentation.degrees", 999, "trapdoor.augmentation.degrees: 999.0 is outside"),
        ("mid.width", 0, "mid.width: 0 is under 1"),
        ("validation.pixel_mean", [0.1, 7], "validation.pixel_mean[1]: 7.0 is outside [0, 1]"),
        ("validation.public_images", [9, 4], "validation.public_images: [9, 4] does not ascend"),
        ("inversion.batch_size", 0, "inversion.batch_size: 0 is under 1"),
        ("evaluation.signature_fpr", 0, "evaluation.signature_fpr: 0.0 is outside (0, 1)"),
        ("data.faces.identities", 1, "data.faces.identities: 1 is under 2"),
        ("signatures.trapmid-0.top_n", 0, "signatures.trapmid-0.top_n: 0 is under 1"),
        ("raw.synthetic.options.images", 0, "raw.synthetic.options.images must be at least 1"),
        ("audit", {"sha256": "0a"}, "audit: missing ['dropped', 'left_out']"),
        (
            "audit",
            {"sha256": "0a", "left_out": -1, "dropped": 0},
            "audit.left_out: -1 is negative",
        ),
        # what is no number
        ("attacks.gmi.lr", float("nan"), "attacks.gmi.lr: nan is not finite"),
        (
            "classifier_training.target.lr",
            float("inf"),
            "classifier_training.target.lr: inf is not finite",
        ),
        (
            "raw.synthetic.options.seed",
            float("nan"),
            "raw.synthetic.options.seed: nan is not finite",
        ),
        # rows
        (
            "attack_runs.gmi-none-0.prior",
            None,
            "attack_runs.gmi-none-0.prior: must be str, is None (NoneType)",
        ),
        ("data.faces.private.path", None, "data.faces.private.path: must be str, is None"),
        ("targets.none-0.init", "", "targets.none-0.init: is empty"),
        ("targets.none-0.init", "D:/x.pt", "targets.none-0.init: 'D:/x.pt' has a colon, which"),
        (
            "targets.none-0.block",
            "nome",
            "params.yaml: no 'nome'; has atat, attack_runs, attacks, bido, ",
        ),
        ("targets.none-0.block", "mid", "mid: missing ['augmentation']; given ['noise', "),
        (
            "targets.none-0.method",
            "nothing",
            "targets.none-0.method: no 'nothing' in src/trapmid/defenses; there are atat, bido, ",
        ),
        (
            "targets.none-0.arch",
            "vgg17",
            "targets.none-0.arch: no 'vgg17' in src/trapmid/targets; there are densenet169, ",
        ),
        (
            "targets.none-0.arch",
            "dlib_head",
            "targets.none-0.arch: dlib_head has no gradient: it can be an evaluator alone",
        ),
        (
            "targets.none-0.training",
            "slow",
            "targets.none-0.training: no 'slow' in classifier_training; there are evaluator",
        ),
        ("targets.none-0.data", "x", "targets.none-0.data: no 'x' in data; there are faces"),
        ("targets.none-0.extra", 1, "targets.none-0: unknown ['extra']; known ['arch', "),
        (
            "attack_runs.gmi-none-0.target",
            "x",
            "attack_runs.gmi-none-0.target: no 'x' in targets; there are",
        ),
        (
            "attack_runs.gmi-none-0.evaluator",
            "x",
            "attack_runs.gmi-none-0.evaluator: no 'x' in evaluators;",
        ),
        (
            "attack_runs.gmi-none-0.method",
            "x",
            "attack_runs.gmi-none-0.method: no 'x' in src/trapmid/attacks; there are brepmi, gmi, ",
        ),
        (
            "attack_runs.gmi-none-0.prior",
            "models/priors/public/x",
            "attack_runs.gmi-none-0.prior: no 'x' in public_priors; there are gmi",
        ),
        (
            f"{ATTACK_RUN}.side_information",
            "models/signatures/x.pt",
            f"{ATTACK_RUN}.side_information: no 'x' in signatures; there are trapmid-0",
        ),
        (f"{ATTACK_RUN}.set", None, f"{ATTACK_RUN}.set: must be a mapping, is None"),
        (f"{ATTACK_RUN}.set.foo", 1, f"{ATTACK_RUN}.set.foo: unknown; known ['adaptive', "),
        (f"{GUIDED}.set.steps", -1, f"{GUIDED}.set.steps: -1 is negative"),
        (
            "attack_runs.gmi-none-0.queried_model",
            "x",
            "attack_runs.gmi-none-0.queried_model: 'x' begins with none of "
            "models/targets/, models/surrogates/",
        ),
        ("seeds", [], "seeds: must be distinct whole numbers from 0 up, is []"),
        (
            "seeds",
            [0, 1, 2],
            "seeds: [0, 1, 2], but the rows are of [0]; `trapmid profile small --seeds 0 1 2` ",
        ),
        (
            "targets.none-0.seed",
            7,
            "seeds: [0], but the rows are of [0, 7]; `trapmid profile small --seeds 0` writes rows",
        ),
        ("targets", {"a;b": {}}, "targets: the name 'a;b' must be of A-Z, a-z, 0-9, _ and - alone"),
        ("profile", "../x", "profile: the name '../x' must be of A-Z, a-z, 0-9, _, - and ."),
        ("profile", 3, "profile: must be a name, is 3"),
        (
            "data.faces.public.reader",
            "celebb",
            "data.faces.public.reader: no 'celebb' in src/trapmid/data; there are celeba, ",
        ),
        (
            "data.faces.public.path",
            "data/raw/y/celeba",
            "data.faces.public.path: no 'y' in raw; there are synthetic",
        ),
        (
            "raw.synthetic.maker",
            "x",
            "raw.synthetic.maker: no 'x' in src/trapmid/data; there are celeba, ",
        ),
        ("pretrained", None, "pretrained: must be a mapping, is None"),
        *(
            (
                f"attack_runs.gmi-none-0.{key}",
                f"{folder}/x{file}",
                f"attack_runs.gmi-none-0.{key}: no 'x' in {section};",
            )
            for key, folder, file, section in (
                ("second_evaluator", "models/evaluators", "/model.pt", "evaluators"),
                ("verifier", "data/features/judges", ".pt", "judges"),
                ("prior", "models/priors/guided", "", "guided_priors"),
                ("queried_model", "models/targets", "", "targets"),
                ("queried_model", "models/surrogates", "", "surrogates"),
                ("side_information", "models/surrogates", "/model.pt", "surrogates"),
            )
        ),
        (
            "signatures.trapmid-0.leak",
            "models/leaks/x.pt",
            "signatures.trapmid-0.leak: no 'x' in leaks; there are none",
        ),
        (
            "targets.none-0.init",
            "models/pretrained/x/model.pt",
            "targets.none-0.init: no 'x' in pretrained; there are none",
        ),
        *(
            (
                f"attack_runs.gmi-none-0.{key}",
                "x",
                f"attack_runs.gmi-none-0.{key}: 'x' begins with none of ",
            )
            for key in ("prior", "side_information", "verifier", "identity", "second_evaluator")
        ),
        ("signatures.trapmid-0.leak", "x", "signatures.trapmid-0.leak: 'x' begins with none of "),
        *(
            (f"{row}.set", {"foo": 1}, f"{row}.set.foo: unknown; known ")
            for row in ("evaluators.second", "targets.none-0", "public_priors.gmi")
        ),
        ("checks.target_accuracy", 5, "checks.target_accuracy: 5.0 is outside [0, 1]"),
        (
            "classifier_training.target.milestones",
            [36],
            "classifier_training.target.milestones: 36 is not reached in 36 epochs",
        ),
        (
            "evaluation.frechet_features",
            "inception",
            "evaluation.frechet_features: inception needs inception_weights, ",
        ),
        (
            "data.faces.images_each",
            20,
            "data.faces.images_each: 20 is under 30, the least of validation.images_per_class",
        ),
        ("data.faces.images_each", 2, "data.faces.images_each: 2 is under 3"),
        ("evaluation.robust_radii", [], "evaluation.robust_radii: needs a radius"),
        # keys of which DVC 3.67 silently makes no stage
        ("targets", {7: {}}, "targets: the key 7 must be in quotes"),
        ("attack_runs", {True: {}}, "attack_runs: the key True must be in quotes"),
        # the gate
        ("gate.controls", ["nobody"], "gate.controls: no defence 'nobody'; there are atat, bido, "),
        ("gate.attack_accuracy", 5, "gate.attack_accuracy: 5.0 is outside [0, 1]"),
    ],
)
def test_a_wrong_value_is_one_line(path: str, value: Any, message: str) -> None:
    found = preflight.problems(changed(path, value))
    assert any(problem.startswith(message) for problem in found), found
    assert not any("\n" in problem for problem in found)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "mid: {",
            "mid: &x {",
            "params.yaml: line {}: the anchor x: write the value out, `-S` loses",
        ),
        ("rolss: {", "rolss: {<<: {a: 1}, ", "params.yaml: line {}: the merge key <<: write the"),
        (
            "smoothed_terms: both",
            "smoothed_terms: ${x}",
            "params.yaml: line {}: the variable in '${x}': write the",
        ),
        (
            "inversion: {",
            "inversio: {",
            "params.yaml: no 'inversion'; has atat, attack_runs, attacks, bido, ",
        ),
        ("rolss: {", "rolss: [", "params.yaml: while parsing"),
    ],
)
def test_wrong_yaml_is_one_line(old: str, new: str, message: str) -> None:
    assert SMALL.count(old) == 1
    line = SMALL[: SMALL.index(old)].count("\n") + 1
    (found,) = preflight.problems(SMALL.replace(old, new))
    assert found.startswith(message.replace("{}", str(line), 1)), found
    assert "\n" not in found


def paths(node: Any, at: str = "") -> list[str]:
    """The dotted path of everything in a mapping."""
    found = []
    for key, value in node.items() if isinstance(node, dict) else ():
        own = f"{at}.{key}".removeprefix(".")
        found += [own, *paths(value, own)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("value", [None, 3, {"x": {"y": 1}}])
def test_whatever_stands_there_is_a_line_and_no_crash(value: Any) -> None:
    for path in paths(PLAIN):
        if path.count(".") < 2:
            # JSON is YAML, and a hundred times as fast to write
            text = json.dumps(edited(path, value, copy.deepcopy(PLAIN)))
            for problem in preflight.problems(text):
                assert "\n" not in problem


def test_all_problems_are_listed_each_once() -> None:
    text = changed("attacks.gmi.steps", 0).replace("beta: 0.5", "beta: 2.0")
    found = preflight.problems(text)
    assert sorted(set(found)) == sorted(found)
    assert {"attacks.gmi.steps: 0 is under 1", "trapdoor.beta: 2.0 is outside [0, 1]"} <= set(found)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "params.yaml"
    file.write_text(SMALL, encoding="utf-8")
    assert cli.main(["check"]) == 0
    assert "can be built" in capsys.readouterr().out
    file.write_text(changed("classifier_training.target.epochs", -1), encoding="utf-8")
    assert cli.main(["check"]) == 2
    printed = capsys.readouterr()
    assert (
        printed.err == "trapmid check: error: classifier_training.target.epochs: -1 is negative\n"
    )
    assert printed.out == ""


@pytest.mark.parametrize(("text", "said"), [("- a", "holds list"), ("a: b: c", "mapping values")])
def test_another_file_is_called_by_its_name(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    assert cli.main(["check", str(file)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"trapmid check: error: {file}: ")
    assert said in err and err.count("\n") == 1


def test_a_wrong_profile_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").mkdir()
    small = (shipped.PROFILES / "small.yaml").read_text(encoding="utf-8")
    (tmp_path / "profiles/small.yaml").write_text(small.replace("beta: 0.5", "beta: 5", 1))
    assert cli.main(["profile", "small"]) == 2
    assert "trapdoor.beta: 5.0 is outside [0, 1]" in capsys.readouterr().err
    assert not (tmp_path / "params.yaml").exists()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "bido.images_per_identity",
            5,
            "targets.bido-0: classifier_training.adam.batch_size: 64 must be 80, which is "
            "identities_per_batch 16 times images_per_identity 5",
        ),
        (
            "classifier_training.dpsgd.precision",
            "auto",
            "targets.dpsgd-0: classifier_training.dpsgd.precision: dpsgd needs fp32, not auto",
        ),
    ],
)
def test_a_training_that_a_defence_cannot_join(path: str, value: Any, said: str) -> None:
    assert preflight.problems(changed(path, value, _with_every_block("wide"))) == [said]


def test_who_learns_from_a_teacher_has_no_best_epoch_by_names() -> None:
    row = {
        "data": "faces", "arch": "small_vgg", "defense": "none", "method": "none", "block": "none",
        "training": "evaluator", "init": "weights/random", "seed": 0, "teacher": "dlib",
    }  # fmt: skip
    said = (
        "pretrained.start.training: evaluator must have epochs and select: last, since whoever "
        "learns from a teacher classifies nobody"
    )
    assert preflight.problems(changed("pretrained", {"start": row})) == [said]
    assert preflight.problems(changed("pretrained", {"start": row | {"training": "target"}})) == []
    (line,) = preflight.problems(changed("pretrained", {"start": row | {"teacher": "me"}}))
    assert line.startswith("pretrained.start.teacher: ")


def test_a_program_is_taken_as_it_is():
    """A classifier from elsewhere names a training of 0 epochs, and no surrogate copies it."""
    assert preflight.problems(changed("targets.none-0.arch", "exported")) == [
        "targets.none-0.arch: exported cannot be trained: a target takes it as it is, with a "
        "training of 0 epochs (given)"
    ]
    row = {"data": "faces", "surrogate": "copy", "method": "finetune", "target": "none-0"}
    row |= {"arch": "exported", "init": "weights/random", "seed": 0}
    made = changed("surrogates.copy", row)
    assert preflight.problems(made) == [
        "surrogates.copy.arch: exported cannot be trained: no surrogate is one"
    ]


def test_what_at_at_trains_by_differs_from_the_others_in_its_precision_alone():
    made = YAML(typ="safe").load(shipped.text("rivals"))["classifier_training"]
    assert made["exact"] == made["target"] | {"precision": "fp32"}


def test_frozen_stages_start_from_what_has_learnt():
    row = {
        "data": "faces",
        "arch": "small_vgg",
        "defense": "transfer",
        "method": "transfer",
        "block": "transfer",
        "training": "target",
        "seed": 0,
    }
    assert preflight.problems(changed("targets.new", row | {"init": "weights/random"})) == [
        "targets.new.init: weights/random has learnt nothing, and transfer freezes its first "
        "stages; name another classifier or published weights"
    ]
    assert preflight.problems(changed("targets.new", row | {"init": "weights/torchvision"})) == []
