"""What the paper's profiles are made of."""

from __future__ import annotations

import copy
import csv
import functools
import re
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from texts import plain

import shipped
from trapmid.profiles.compose import compose
from trapmid.profiles.sections import CLASSIFIERS, ROWS

PAPER_PROFILES = sorted(path.stem for path in shipped.PROFILES.glob("paper*.yaml"))

AUGMENTATION = {  # Trap-MID, C.4
    "crop": 0.5,
    "crop_per": "batch",
    "scale": 0.8,
    "flip": 0.5,
    "rotation": 0.5,
    "degrees": 30.0,
}
# Everything that a paper profile takes from `small`, read against the papers and their code. What
# is not here, or is another value here, was never looked at: compare it with the official one, then
# list it, or write it into profiles/paper.yaml.
REVIEWED = {
    "none": {"augmentation": None},
    "none_aug": {"augmentation": AUGMENTATION},
    "trapdoor": {
        "optimized": True,
        "discriminator": True,
        "feature_discriminator": False,
        "feature_model_loss": False,
        "augmentation": AUGMENTATION,
        "smoothing": None,
        "smoothed_terms": "both",
        "free": False,
        "discriminator_width": None,
        "search_every": 1,
        "frozen_after": None,
    },
    "bido": {  # HSIC, Gaussian but for the labels; 16 people with 4 images each
        "measure": "hsic",
        "kernel": "gaussian",
        "label_kernel": "linear",
        "input_weight": 0.05,
        "label_weight": 0.5,
        "sigma": 5.0,
        "identities_per_batch": 16,
        "images_per_identity": 4,
    },
    "ted_plus": {"augmentation": AUGMENTATION},
    "transfer": {"freeze_statistics": True},  # ours
    "rolss": {"scale": 0.0, "stages": 1},  # not in the paper
    "dpsgd": {"poisson": True},  # not in the paper
    "midre": {  # published after it; the squares' grey is its own, in [0, 1]
        "area": [0.1, 0.4],
        "fill": [0.7425, 0.728, 0.703],
        "augmentation": None,
    },
    "atat": {"weight": 0.08, "steps": 5, "augmentation": None},  # published after it
    "prior_training": {
        "plgmi": {"view_noise": 0.0, "adaptive": None},
        "kedmi": {
            "batch_size": 64,
            "betas": [0.5, 0.999],
            "entropy_weight": 1e-4,
            "target_mode": "train",
            "precision": "fp32",
        },
    },
    "surrogate_training": {
        "distil": {
            "batch_size": 64,
            "lr": 0.02,  # Trap-MID's script; LOMMA's own file says 0.01
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "decay": 0.1,  # without milestones
            "temperature": 1.0,
            "augmentation": None,
            "signature_images": None,  # not in the paper
            "keep_every": 2,
        },
        "finetune": {  # not in the paper
            "batch_size": 64,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "decay": 0.1,
            "temperature": 1.0,
            "augmentation": AUGMENTATION,
            "labels": "soft",
            "top_n": 30,
            "keep_every": 2,
        },
    },
    "attacks": {
        "plgmi": {"view_noise": 0.0, "adaptive": None},
        "gmi": {"averaging": None, "adaptive": None},
        "kedmi": {"identity_weight": 100.0, "averaging": None, "adaptive": None},
        "lomma": {
            "search": "points",
            "lr": 0.02,
            "momentum": 0.9,
            "bound": 1.0,
            "identity_weight": 100.0,
            "feature_weight": 1.0,
            "averaging": None,
            "adaptive": None,
        },
        "brepmi": {
            "images_per_class": 1,
            "points": 32,
            "inside": 29,
            "radius": 2.0,
            "expansion": 1.3,
            "max_step": 3.0,
            "bound": 1.5,
            "init_batch": 256,
            "untargeted": None,  # Table 18: 300; docs/deviations.md
        },
    },
    "evaluation": {  # the neighbours are PPA's; docs/deviations.md
        "inception_weights": "weights/none",
        "signature_fpr": 0.05,
        "robust_radii": [0.0039, 0.0078, 0.0157],  # ours
        "neighbours": 3,
        "verifier_fpr": 0.01,  # ours
    },
    "checks": {"judges_agree_on_real": 0.9, "reader_recognises_real": 0.9},  # ours
    "gate": {  # ours
        "controls": ["none", "none_aug"],
        "accuracy": 0.03,
        "trapdoor_success": 0.01,
        "attack_accuracy": 0.16,
        "control_accuracy": 0.26,
        "agreement": 0.1,
        "looks": 0.09,
        "signature": 0.15,
        "robust": 0.2,
        "knn": 0.5,
        "distance": 0.75,
    },
}


def leaves(node, at=()):
    """(path, value) of everything under `node` that is no mapping."""
    if not isinstance(node, dict):
        return {".".join(at): node}
    return {path: v for key in node for path, v in leaves(node[key], (*at, key)).items()}


def marked(node, at=()):
    """The same with every value replaced by the word small/<its path>."""
    if not isinstance(node, dict):
        return f"small/{'.'.join(at)}"
    return {k: marked(v, (*at, k)) for k, v in node.items()}


@functools.cache
def of(name):
    """The params.yaml of a paper profile."""
    return plain(shipped.text(name))


def settings(name):
    """What is no row in a profile, with the blocks that none of its rows uses."""
    whole = plain(shipped.whole(name))
    return {key: part for key, part in whole.items() if key not in (*ROWS, "defaults", "seeds")}


@pytest.fixture(scope="module")
def composed():
    """The paper's profiles: name -> params.yaml."""
    return {name: of(name) for name in PAPER_PROFILES}


@pytest.fixture(scope="module")
def inherited(composed, tmp_path_factory):
    """What each paper profile takes from `small`: profile -> {path: value}.

    Found by composing it over a `small` whose every value is a mark, but for its rows.
    """
    folder = tmp_path_factory.mktemp("profiles")
    shutil.copytree(shipped.PROFILES, folder, dirs_exist_ok=True)
    small = plain((shipped.PROFILES / "small.yaml").read_text(encoding="utf-8"))
    kept = {section: small[section] for section in (*ROWS, "defaults", "seeds")}
    YAML(typ="safe").dump(marked(small) | kept, folder / "small.yaml")
    found = {}
    for name in PAPER_PROFILES:
        made, values = plain(compose(name, [0], folder)), leaves(small)
        for section in ROWS:
            assert made[section].items() <= composed[name][section].items()
        marks = [v for v in leaves(made).values() if isinstance(v, str) and v.startswith("small/")]
        paths = [mark.removeprefix("small/") for mark in marks]
        # Words say which profile they were measured on; they decide nothing.
        paths = [path for path in paths if not path.startswith("gate.why.")]
        found[name] = {path: values[path] for path in paths}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER_PROFILES)
def test_what_a_paper_profile_inherits_was_reviewed(inherited, name):
    reviewed = leaves(REVIEWED)
    unseen = {p: v for p, v in inherited[name].items() if p not in reviewed or reviewed[p] != v}
    assert not unseen, f"{name} takes from small, unreviewed: {unseen}"


@pytest.mark.slow
def test_nothing_is_reviewed_in_vain(inherited):
    taken = set().union(*inherited.values())
    assert set(leaves(REVIEWED)) == taken


@pytest.mark.slow
def test_paper_profiles_agree_on_what_they_share(composed):
    """One name, one thing: so that what a profile has made is of use to the next one."""
    first: dict[str, tuple[str, object]] = {}
    for name, whole in composed.items():
        study = dict(whole)
        rows = {
            s: study[s]
            for s in (
                *ROWS,
                "classifier_training",
                "prior_training",
                "surrogate_training",
                "attacks",
            )
        }
        parts = {f"{s}.{key}": part for s, block in rows.items() for key, part in block.items()}
        if name == "paper_highres":  # whose bounds are of other data and other networks
            del study["checks"]
        # A control is one where a row is.
        gate = study["gate"] | {"controls": []}
        parts |= {s: block for s, block in study.items() if s not in rows and s != "profile"}
        parts |= {"gate": gate}
        for key, part in parts.items():
            other, value = first.setdefault(key, (name, part))
            # The floor asks no target; a row names one all the same.
            assert part == value or key.startswith("attack_runs.random-"), (
                f"{key}: {name}, not {other}"
            )


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "paper" else pytest.mark.slow) for n in PAPER_PROFILES],
)
def test_official_values_of_the_paper_profiles(name):
    made = of(name)
    attacks = settings(name)["attacks"]
    assert attacks["kedmi"]["lr"] == attacks["lomma"]["lr"] == 0.02
    assert made["evaluation"]["frechet_min_success"] <= 12  # GMI on Trap-MID: 12 of 5,000
    epochs = {"ir152": 40, "resnest101": 100, "resnet152": 100, "densenet169": 100}
    for row, block in made["targets"].items():
        fit = made["classifier_training"][block["training"]]
        wanted = epochs.get(block["arch"], 50)  # Trap-MID, C.3; PPA's script
        assert fit["epochs"] == (100 if "negls" in row else wanted), row


SMOOTHING = {"factor": -0.05, "ramp": [0.5, 0.75], "jump": True}
OFFICIAL = {
    "trapdoor": {"alpha": 0.02, "beta": 0.2, "step_size": 0.01, "hiding_weight": 1.0, "until": 1.0},
    "mid": {"weight": 0.003, "width": 1024, "noise": "fresh"},
    "negls": {"smoothing": SMOOTHING},
    "ted": {"alpha": 0.2, "beta": 0.5, "squares": 5},  # signs that the paper's text lost
    "ted_plus": {"alpha": 0.02, "beta": 0.2, "step_size": 0.01, "squares": 5},
    "loft": {"rank": 50},
    "atat": {"weight": 0.08, "radius": 0.0005 / 2, "step": 0.0001 / 2, "steps": 5},  # of [0, 1]
    "midre": {"area": [0.1, 0.4]},
    "classifier_training": {
        "target": {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4},
        "adam": {"optimizer": "adam", "lr": 1e-4, "weight_decay": 0.0, "milestones": []},
        "negls": {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0, "milestones": [75, 90]},
    },
}
"""Trap-MID C.3 and C.4 with the scripts of its code; those of AT-AT, LoFt and MIDRE."""


def test_official_values_of_the_defences():
    """A midre square is erased after the images were moved to [-1, 1]."""
    made = leaves(settings("paper"))
    assert {path: made[path] for path in leaves(OFFICIAL)} == leaves(OFFICIAL)
    batches = {name: one["batch_size"] for name, one in of("paper")["classifier_training"].items()}
    assert {batches["target"], batches["adam"]} == {64} and batches["negls"] == 128
    fill = [(1 + part) / 2 for part in (0.485, 0.456, 0.406)]
    assert settings("paper")["midre"]["fill"] == pytest.approx(fill)


@pytest.mark.slow
def test_official_values_of_the_other_networks():
    """The bottleneck of a network whose features are 512 numbers; Adam for BiDO, for NegLS."""
    rows = of("paper_networks")["targets"]
    trainings = of("paper_networks")["classifier_training"]
    seen = set()
    for row in rows.values():
        seen.add((row["defense"], row["arch"]))
        if row["defense"] == "mid":
            assert row["set"]["width"] == 512
        used = {key: trainings[row["training"]][key] for key in ("optimizer", "lr")}
        wanted = {"bido": ("adam", 1e-4), "negls": ("adam", 1e-3)}
        assert tuple(used.values()) == wanted.get(row["defense"], ("sgd", 0.01)), row
    assert {(d, a) for d in ("mid", "bido", "negls") for a in ("facenet64", "ir152")} <= seen


def test_values_of_the_high_resolution_track(composed):
    """PPA's CelebA_FFHQ.yaml and its training script; IF-GMI's main-*.yaml."""
    made = composed["paper_highres"]
    fit = made["classifier_training"]["highres"]
    assert (fit["optimizer"], fit["lr"], fit["batch_size"]) == ("adam", 0.001, 128)
    assert (fit["milestones"], fit["decay"], fit["select"]) == ([75, 90], 0.1, "last")
    ppa, ifgmi = made["attacks"]["ppa"], made["attacks"]["ifgmi"]
    assert (ppa["steps"], ppa["lr"], ppa["betas"]) == (70, 0.005, [0.1, 0.1])
    assert ppa["candidates"] == 200
    assert (ppa["robustness"]["views"], ppa["robustness"]["keep"]) == (100, 50)
    assert [ifgmi["steps"], *(one["steps"] for one in ifgmi["layers"])] == [70, 25, 25, 25, 25]
    assert ifgmi["candidates"] == 50 and ifgmi["layers"][0]["radius"] == 2000
    asked = [row["set"]["candidates"] for row in made["guided_priors"].values()]
    assert asked and all(one["pool"] == 5000 and one["cutoff"] == 8 for one in asked)
    rows = {
        (made["targets"][row["target"]]["arch"], made["targets"][row["target"]]["defense"])
        for row in made["attack_runs"].values()
        if row["attack"] == "ppa"
    }
    archs = ("resnest101", "resnet152", "densenet169")
    defenses = ("none", "none_aug", "trapmid", "trapmid_tuned")
    assert rows == {(a, d) for a in archs for d in defenses} | {("resnet152", "negls")}


def test_the_undefended_rows_of_table_19_pass_the_checks():
    """A study that repeats the paper's own numbers must not be called weak."""
    checks = of("paper_highres")["checks"]
    file = shipped.PROFILES.parent / "reports/paper/numbers.csv"
    with file.open(newline="", encoding="utf-8") as stream:
        found = [
            one
            for one in csv.DictReader(stream)
            if (one["table"], one["defence"]) == ("19", "none")
        ]
    least = {
        metric: min(float(one["value"]) for one in found if one["metric"] == metric) / 100
        for metric in ("acc", "aa1")
    }
    assert least == {"acc": 0.8539, "aa1": 0.7314}  # of DenseNet-169, both
    assert least["acc"] >= checks["target_accuracy"]
    assert least["aa1"] >= checks["positive_control"]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("paper", ()),
        pytest.param("paper_attacks", (), marks=pytest.mark.slow),
        pytest.param("paper_ablations", (), marks=pytest.mark.slow),
        pytest.param(
            "paper_networks",
            ("classifier_training.short.select=test", "classifier_training.adam_short.select=test"),
            marks=pytest.mark.slow,
        ),
        pytest.param("paper_ffhq", ("data.celeba_ffhq.val_fraction=0",), marks=pytest.mark.slow),
    ],
)
def test_the_documented_way_to_do_without_validation_images(name, more):
    """After docs/deviations.md, no classifier's epoch is chosen on images that are not there."""
    text = (shipped.PROFILES.parent / "docs" / "deviations.md").read_text(encoding="utf-8")
    study = copy.deepcopy(of(name))
    said = re.findall(r"-S ([^ `]+)", text)
    if name == "paper_ablations":
        said.remove("classifier_training.adam.select=test")
    for setting in (*said, *more):
        path, value = setting.split("=")
        *above, key = path.split(".")
        block = functools.reduce(lambda node, name: node[name], above, study)
        assert key in block, path
        block[key] = plain(value)
    assert all(row["val_fraction"] == 0 for row in study["data"].values())
    for section in CLASSIFIERS:
        for row, block in study[section].items():
            assert study["classifier_training"][block["training"]]["select"] in ("test", "last"), (
                row
            )


def test_the_paper_on_ffhq_has_every_row_of_its_tables(composed):
    """Tables 4 and 14 to 16: attack, defence, public images, seed."""
    made = composed["paper_ffhq"]
    found = {
        (row["attack"], made["targets"][row["target"]]["defense"], row["data"], row["seed"])
        for row in made["attack_runs"].values()
    }
    everyone = ("none", "mid", "bido", "negls", "trapmid")
    wanted = {(attack, one) for attack in ("plgmi", "plgmi_plus") for one in everyone}
    wanted |= {("plgmi_plus_plus", "trapmid")}
    seeds, sets = range(5), ("celeba", "celeba_ffhq")
    floor = {("random", "none", "celeba", seed) for seed in seeds}
    assert found == floor | {
        (*row, data, seed) for row in wanted for data in sets for seed in seeds
    }
    for row in made[
        "attack_runs"
    ].values():  # an attacker has one public set, from the first step on
        if row["attack"] != "random":
            prior = made["guided_priors"][Path(row["prior"]).name]
            assert (
                prior["data"] == row["data"]
                and prior["side_information"] == row["side_information"]
            )
            if row["side_information"] != "weights/none":
                assert made["signatures"][Path(row["side_information"]).stem]["data"] == row["data"]
    ffhq = made["data"]["celeba_ffhq"]
    assert ffhq["public_images"] is None and ffhq["public"]["reader"] == "ffhq"
    assert made["validation"]["public_images"] == [29_000, 70_000]
    celeba = made["data"]["celeba"]
    assert celeba.pop("public_near_twins") == 100  # FFHQ shows other people
    assert ffhq == celeba | {
        "public": ffhq["public"],
        "public_images": None,
        "public_max_images": None,
        "public_above": None,
    }
