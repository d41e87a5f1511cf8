"""A small study that nobody computed: params and every file that the report and MLflow read."""

from __future__ import annotations

import functools
import io
import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from ruamel.yaml import YAML

from trapmid.artifacts import checkpoints
from trapmid.scoring.scores import (
    AttackScores,
    EvaluatorScores,
    JudgeScores,
    TargetScores,
    read_all,
)

DEFENSES = {"none": "none", "none_aug": "none_aug", "trapmid": "trapdoor"}
WIDE = DEFENSES | {
    "mid": "mid",
    "bido": "bido",
    "bido_coco": "bido_coco",
    "negls": "negls",
    "ted": "ted",
    "ted_plus": "ted_plus",
    "trapmid_fixed": "trapmid_fixed",
    "trapmid_open": "trapmid_open",
    "trapmid_negls": "trapmid_negls",
    "trapmid_negls_main": "trapmid_negls_main",
    "transfer": "transfer",
    "dpsgd": "dpsgd",
    "rolss": "rolss",
}
"""As many defences as a study may have."""

PARTS = {
    "mid": ("main_loss", "information"),
    "bido": ("main_loss", "input_dependence", "label_dependence"),
    "bido_coco": ("main_loss", "input_dependence", "label_dependence"),
}
"""What the defences log beside the loss and the rates; trapdoored ones log their own."""
AA1 = {
    "gmi": {"none": 0.31, "none_aug": 0.28, "trapmid": 0.04},
    "plgmi": {"none": 0.95, "none_aug": 0.91, "trapmid": 0.12},
    "plgmi_distil": {"none": 0.93, "none_aug": 0.9, "trapmid": 0.42},
    "brepmi": {"none": 0.8, "none_aug": 0.79, "trapmid": 0.2},
}
"""AA-1 of the first seed; another attack through a student, and one that sees labels alone."""
N = 100


def trapped(defense: str) -> bool:
    """Whether targets of that defence have a trapdoor."""
    return defense.startswith(("trapmid", "ted"))


def params(
    seeds: tuple[int, ...] = (0, 1), defenses: Mapping[str, str] = DEFENSES
) -> dict[str, Any]:
    """The rows of the default study with made-up numbers in its blocks.

    Args:
        seeds: of every target, and what is made of it.
        defenses: the block of each, by name; `WIDE` for a study of many.
    """
    targets, guided, attack_runs, surrogates = {}, {}, {}, {}
    for seed in seeds:
        for defense, block in defenses.items():
            target = f"{defense}-{seed}"
            targets[target] = {
                "data": "faces",
                "arch": "small",
                "defense": defense,
                "method": "trapmid" if trapped(defense) else "none",
                "block": block,
                "training": "target",
                "init": "models/pretrained/strangers/model.pt"
                if defense == "transfer"
                else "weights/random",
                "seed": seed,
            }
            surrogates[f"students-{target}"] = {
                "data": "faces",
                "target": target,
                "arch": "small",
                "surrogate": "students",
                "method": "distil",
                "init": "weights/random",
                "seed": seed,
            }
            student = f"models/surrogates/students-{target}"
            for prior, queried_model in (
                ("plgmi", f"models/targets/{target}"),
                ("distil", student),
            ):
                guided[f"{prior}-{target}"] = {
                    "data": "faces",
                    "method": "plgmi",
                    "target": target,
                    "queried_model": queried_model,
                    "side_information": "weights/none",
                    "init": "weights/random",
                    "seed": seed,
                }
            for attack in AA1:
                name = attack.removeprefix("plgmi_")
                prior = f"guided/{name}-{target}" if "plgmi" in attack else "public/gmi"
                attack_run = _cell(attack, target, prior, seed)
                if attack == "plgmi_distil":
                    attack_run |= {"method": "plgmi", "queried_model": student}
                attack_runs[f"{attack}-{target}"] = attack_run
        attack_runs[f"random-none-{seed}"] = _cell("random", f"none-{seed}", "public/gmi", seed)
    return {
        "profile": "fake",
        "seeds": list(seeds),
        "raw": {"synthetic": {"maker": "synthetic", "options": {"identities": 40}}},
        "data": {
            "faces": {
                "private": {"reader": "celeba", "path": "data/raw/synthetic/celeba"},
                "public": {"reader": "ffhq", "path": "data/raw/synthetic/ffhq"},
                "image_size": 32,
                "identities": 20,
                "seed": 0,
            }
        },
        "evaluators": {
            "evaluator": {
                "data": "faces",
                "arch": "wide",
                "defense": "none",
                "method": "none",
                "block": "none",
                "training": "evaluator",
                "init": "weights/random",
                "seed": 7,
            }
        },
        "trained_judges": {},
        "judges": {
            "verifier": {
                "data": "faces",
                "method": "verifier",
                "model": "weights/faces32/verifier.pt",
                "truth": "weights/none",
                "seed": 0,
            },
            "identity": {
                "data": "faces",
                "method": "portrait",
                "model": "weights/faces32/portrait.pt",
                "truth": "data/raw/synthetic/celeba/identity_vectors.csv",
                "seed": 0,
            },
        },
        "pretrained": {
            "strangers": {
                "data": "faces",
                "arch": "small",
                "defense": "none",
                "method": "none",
                "block": "none_aug",
                "training": "target",
                "init": "weights/random",
                "seed": 0,
            }
        },
        "targets": targets,
        "classifier_training": {
            "target": {"epochs": 8, "lr": 0.01, "select": "val"},
            "evaluator": {"epochs": 9, "lr": 0.02, "select": "val"},
        },
        **{block: {"strength": 1.0} for block in defenses.values() if block not in DEFENSES},
        "none": {},
        "none_aug": {"augmentation": {"flip": True}},
        "trapdoor": {"alpha": 0.1, "beta": 0.3},
        "public_priors": {
            "gmi": {"data": "faces", "method": "gmi", "init": "weights/random", "seed": 0}
        },
        "surrogates": surrogates,
        "leaks": {},
        "signatures": {},
        "surrogate_training": {"distil": {"epochs": 3}},
        "judge_training": {"verifier": {"steps": 5}},
        "guided_priors": guided,
        "prior_training": {"gmi": {"steps": 300}, "plgmi": {"steps": 200}},
        "attacks": {
            "gmi": {"steps": 50},
            "plgmi": {"steps": 40},
            "brepmi": {"patience": 9},
            "random": {},
        },
        "inversion": {"images_per_class": 5, "batch_size": None, "keep_every": 10},
        "attack_runs": attack_runs,
        "evaluation": {
            "frechet_features": "evaluator",
            "frechet_min_success": 10,
            "signature_fpr": 0.05,
            "robust_radii": [0.0039, 0.0157],
        },
        "gate": {
            "controls": ["none", "none_aug"],
            "why": {"attack_accuracy": "three seeds"},
            "accuracy": 0.02,
            "trapdoor_success": 0.01,
            "attack_accuracy": 0.05,
            "control_accuracy": 0.1,
            "agreement": 0.05,
            "looks": 0.05,
            "signature": 0.1,
            "robust": 0.1,
            "knn": 0.2,
            "distance": 0.2,
        },
    }


def write(
    root: Path, seeds: tuple[int, ...] = (0, 1), defenses: Mapping[str, str] = DEFENSES
) -> dict[str, Any]:
    """Writes the study's params.yaml and result files under `root`; returns the params."""
    made = _made(tuple(seeds), tuple(defenses.items()))
    shutil.copytree(made.name, root, dirs_exist_ok=True)
    return params(seeds, defenses)


@functools.cache
def _made(
    seeds: tuple[int, ...], defenses: tuple[tuple[str, str], ...]
) -> tempfile.TemporaryDirectory[str]:
    """A folder with such a study, made once in a process: a copy takes a quarter of its time."""
    folder = tempfile.TemporaryDirectory(prefix="fake-study-")
    _write(Path(folder.name), params(seeds, dict(defenses)))
    return folder


def _write(root: Path, study: dict[str, Any]) -> None:
    with (root / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump(study, stream)
    reports = root / "reports"
    for row in study["data"]:
        write_json(reports / "data" / f"{row}.json", _contract(row))
        _picture(reports / "figures" / "data" / f"{row}.png", row, (460, 220))
    for row, block in study["evaluators"].items():
        write_json(reports / "scores" / "evaluators" / f"{row}.json", _evaluator(row))
        _training(root, "evaluators", row, block, epochs=9)
    for row in study["judges"]:
        write_json(reports / "scores" / "judges" / f"{row}.json", _judge(row))
    for row, block in study["pretrained"].items():
        _training(root, "pretrained", row, block, epochs=8)
    for row, block in study["targets"].items():
        write_json(reports / "scores" / "targets" / f"{row}.json", _target(row, block))
        _training(root, "targets", row, block, epochs=8)
    for section in ("public_priors", "surrogates", "guided_priors"):
        for row, block in study[section].items():
            _training(root, section, row, block, epochs=30)
    for row, block in study["attack_runs"].items():
        scores = _attack_run_scores(row, block, study["targets"][block["target"]])
        write_json(reports / "scores" / "attack_runs" / f"{row}.json", scores)
        _picture(reports / "figures" / "attack_runs" / f"{row}.png", row, (560, 420))
        queries = {"queries": 40_000} if block["attack"] == "brepmi" else {}
        _stats(root / "reports" / "training" / "attack_runs" / row, batch_size=100, **queries)


Scores = tuple[dict[str, EvaluatorScores], dict[str, TargetScores], dict[str, AttackScores]]


def scores(study: Mapping[str, Any]) -> Scores:
    """Made-up scores of the rows of any params.yaml: evaluators, targets and attack runs."""
    targets, file = study["targets"], Path("made/up.json")
    return (
        {row: EvaluatorScores.from_json(_evaluator(row), file) for row in study["evaluators"]},
        {row: TargetScores.from_json(_target(row, block), file) for row, block in targets.items()},
        {
            row: AttackScores.from_json(
                _attack_run_scores(row, block, targets[block["target"]]), file
            )
            for row, block in study["attack_runs"].items()
        },
    )


def judge_scores(study: Mapping[str, Any]) -> dict[str, JudgeScores]:
    """Made-up scores of the judges of any params.yaml."""
    file = Path("made/up.json")
    return {row: JudgeScores.from_json(_judge(row), file) for row in study["judges"]}


def read_scores(root: Path, study: Mapping[str, Any]) -> Scores:
    """The scores that `write` left under `root`."""
    return (
        read_all(EvaluatorScores, root, study["evaluators"]),
        read_all(TargetScores, root, study["targets"]),
        read_all(AttackScores, root, study["attack_runs"]),
    )


def signature_scores(study: dict[str, Any]) -> dict[str, dict[str, torch.Tensor]]:
    """Cosines of every attack run; none where the target has no trapdoor."""
    wave = 0.2 * torch.sin(1.7 * torch.arange(60))
    centres = {"train": 0.1, "poisoned": 0.75, "public": 0.05, "recovered": 0.6}
    return {
        attack_run: {kind: centre + wave for kind, centre in centres.items()}
        if trapped(study["targets"][block["target"]]["defense"])
        else {}
        for attack_run, block in study["attack_runs"].items()
    }


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _cell(attack: str, target: str, prior: str, seed: int) -> dict[str, Any]:
    return {
        "attack": attack,
        "method": attack,
        "target": target,
        "queried_model": f"models/targets/{target}",
        "side_information": "weights/none",
        "prior": f"models/priors/{prior}",
        "evaluator": "evaluator",
        "verifier": "data/features/judges/verifier.pt",
        "identity": "data/features/judges/identity.pt",
        "second_evaluator": "weights/none",
        "data": "faces",
        "seed": seed,
    }


def _contract(row: str) -> dict[str, Any]:
    expectation = {
        "suite": "manifest",
        "expectation": "expect_column_values_to_be_in_set",
        "column": "split",
        "kwargs": {"value_set": ["train", "val", "test", "public"]},
        "success": True,
        "unexpected": 0,
        "checked": 1600,
        "examples": [],
    }
    unique = {
        "suite": "manifest",
        "expectation": "expect_column_values_to_be_unique",
        "column": "path",
        "kwargs": {},
    }
    return {
        "data": row,
        "success": True,
        "expectations": [expectation, expectation | unique],
        "counts": {"identities": 20, "train": 440, "val": 60, "test": 60, "public": 2000},
    }


def interval(rate: float, kind: str = "identities", n: int = 20) -> dict[str, Any]:
    """Made up: five points to either side."""
    low, high = max(0.0, rate - 0.05), min(1.0, rate + 0.05)
    return {"low": round(low, 4), "high": round(high, 4), "kind": kind, "n": n}


MACHINE = {
    "device": "cpu",
    "precision": "fp32",
    "instructions": "AVX2",
    "onednn": "AVX2",
    "torch": "2.14.1",
}
_PRDC = {"precision": 0.4, "recall": 0.6, "density": 0.3, "coverage": 0.2}
FIDELITY = {
    "kid": 0.25,
    "kid_std": 0.03,
    "frechet_matched": 44.0,
    "prdc": _PRDC,
    "prdc_ppa": _PRDC,
    "nearest_private": {"equal": 0.4, "all": 0.3},
    "covered": 0.01,
}


def _evaluator(row: str) -> dict[str, Any]:
    ceiling = {"aa1": 0.97, "aa5": 1.0, "knn_dist": 31.4, "frechet": 4.2, "n_success": 58, "n": 60}
    ceiling |= {"intervals": {"aa1": interval(0.97), "aa5": interval(1.0)}}
    return {
        "row": row,
        "test_accuracy": 0.97,
        "val_accuracy": 0.96,
        "n_test": 60,
        "intervals": {"test_accuracy": interval(0.97)},
        "ceiling": ceiling,
        "ceiling_fidelity": FIDELITY,
        "checks": {"deterministic": True, "evaluator_accuracy": True},
        "failed_checks": {},
        "computed_on": MACHINE,
    }


def _judge(row: str) -> dict[str, Any]:
    """The judge called `verifier` verifies, any other reads parameters."""
    verifies = row == "verifier"
    quality = {
        "threshold": 0.8,
        "threshold_split": "val",
        "false_accepts": 0.012,
        "n_impostors": 1140,
        "true_accepts": 0.95,
        "aa1": 0.97,
        "blanks_accepted": 0.0,
        "n_blanks": 100,
    }
    own = {"blank_images_refused" if verifies else "reader_recognises_real": True}
    return {
        "row": row,
        "method": "verifier" if verifies else "portrait",
        "learnt_from": "drawn people 1000000 to 1002099 of seed 0",
        "n_test": 60,
        "verifier": quality if verifies else None,
        "identity": None if verifies else _identity(0.98),
        "reliability": {} if verifies else {"masculinity": 0.8, "age": 0.3},
        "checks": {"judge_knows_no_private_person": True, **own},
        "failed_checks": {},
        "computed_on": MACHINE,
    }


def _identity(aa1: float) -> dict[str, Any]:
    """What a judge that reads parameters says, the more of the truth the higher `aa1`."""
    distance = {"attacked": round(1.2 - 0.7 * aa1, 4), "others": 1.2}
    return {
        "aa1": aa1,
        "distance": distance,
        "farther": round(0.5 + aa1 / 2, 4),
        "attributes": {"Male": {"attacked": round(0.5 + aa1 / 2, 4), "others": 0.5}},
        "groups": {"skin": {"distance": distance, "farther": round(0.5 + aa1 / 2, 4)}},
    }


def _judged(aa1: float, hits: int) -> dict[str, Any]:
    """Every second hit is accepted, and every third one the nearest."""
    half, third = hits // 2, hits // 3
    neither = {"false_negatives": 0, "neither": N - hits, "false_negative_share": 0.0}
    return {
        "agree": half / N / 2,
        "n_agree": half // 2,
        "agree_on_real": 0.94,
        "verifier": {"threshold": 0.8, "accepted": half / N, "aa1": aa1, "distance": 0.9},
        "identity": _identity(third / N),
        "second_aa1": None,
        "disagreement": {
            "verifier": _against(half, hits) | neither,
            "identity": _against(third, hits) | neither,
        },
    }


def _against(both: int, hits: int) -> dict[str, Any]:
    """What a judge says of the evaluator's hits."""
    wrong = hits - both
    return {"both": both, "false_positives": wrong, "false_positive_share": wrong / hits}


def _judged_intervals(judged: dict[str, Any]) -> dict[str, Any]:
    """By path, as `scoring.verdicts` names them."""
    identity = judged["identity"]
    share = judged["disagreement"]["verifier"]["false_positive_share"]
    return {
        "judges.agree": interval(judged["agree"]),
        "judges.agree_on_real": interval(0.94),
        "judges.verifier.accepted": interval(judged["verifier"]["accepted"]),
        "judges.disagreement.verifier.false_positive_share": interval(share),
        "judges.identity.farther": interval(identity["farther"]),
        "judges.identity.groups.skin.farther": interval(identity["groups"]["skin"]["farther"]),
    }


def _target(row: str, block: dict[str, Any]) -> dict[str, Any]:
    protected = trapped(block["defense"])
    test_accuracy = (0.92 if protected else 0.95) + 0.01 * block["seed"]
    intervals = {"test_accuracy": interval(test_accuracy)}
    theory = {
        "delta": -0.25 - 0.1 * block["seed"],
        "delta_mean": 0.5,
        "per_class": [-0.25 - 0.1 * block["seed"], 1.25],
        "naturalness_classifier": 0.125,
        "naturalness_gaussian": 2.5,
        "log_posterior_benign": -1.5,
        "log_posterior_poisoned": -1.0,
        "margin": -0.375 - 0.1 * block["seed"],
        "bound": -1.875 - 0.1 * block["seed"],
        "holds": True,
    }
    return {
        "row": row,
        "defense": block["defense"],
        "seed": block["seed"],
        "test_accuracy": test_accuracy,
        "balanced_accuracy": test_accuracy,
        "val_accuracy": 0.94,
        "n_test": 60,
        "trapdoor_success": 1.0 if protected else None,
        "n_trapdoor": 60 if protected else 0,
        "intervals": intervals
        | ({"trapdoor_success": interval(1.0, "images", 60)} if protected else {}),
        "theory": theory if protected else None,
        "robustness": _robustness(test_accuracy, 0.4 if protected else 0.8),
        "adversarial": [_adversarial("linf", 0.0314), _adversarial("l2", 0.5)] if protected else [],
        "facts": {"epsilon": 8.0, "delta": 1e-5} if block["defense"] == "dpsgd" else {},
        "stochastic": block["defense"] == "mid",
        "checks": {} if block["defense"] == "mid" else {"deterministic": True},
        "failed_checks": {},
        "computed_on": MACHINE,
    }


def _robustness(clean: float, near: float) -> dict[str, Any]:
    rates = {"0.0039": near, "0.0157": near / 4}
    return {
        "clean_accuracy": clean,
        "robust_accuracy": rates,
        "intervals": {f"robust_accuracy.{r}": interval(rate) for r, rate in rates.items()},
    }


def _adversarial(norm: str, radius: float) -> dict[str, Any]:
    def caught(n: int, recall: float) -> dict[str, Any]:
        rates = {"recall": recall, "fpr": 0.0625}
        intervals = {name: interval(rate) for name, rate in rates.items()}
        success = (recall + 1 - 0.0625) / 2
        return rates | {"n": n, "success_rate": success, "auc": 0.96, "intervals": intervals}

    parts = {"every": caught(60, 0.75), "changed": caught(48, 0.9375)}
    return {"norm": norm, "radius": radius} | parts


def _attack_run_scores(row: str, block: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    defense = target["defense"]
    aa1 = 0.05 if block["attack"] == "random" else AA1.get(block["attack"], {}).get(defense, 0.5)
    aa1 = round(aa1 + 0.02 * block["seed"], 4)
    hits = round(N * aa1)
    judged = None if block["attack"] == "brepmi" else _judged(aa1, hits)
    signature = {
        "recall": 0.8,
        "auc": 0.97,
        "threshold": 0.31,
        "fpr_train": 0.05,
        "fpr_public": 0.1,
    }
    return {
        "row": row,
        "attack": block["attack"],
        "defense": defense,
        "target": block["target"],
        "seed": block["seed"],
        "aa1": aa1,
        "aa5": min(1.0, aa1 + 0.2),
        "intervals": {"aa1": interval(aa1), "aa5": interval(min(1.0, aa1 + 0.2))}
        | ({} if judged is None else _judged_intervals(judged)),
        "aa1_std": 0.011,
        "aa5_std": 0.02,
        "coverage": 0.9 if block["attack"] == "brepmi" else 1.0,
        "left_out": 0,
        "counts": {
            "queries": {"mean": 330.0, "max": 990.0 + block["seed"], "sum": 33000.0},
            "initial_batches": {"mean": 2.0 + block["seed"], "max": 17.0, "sum": 200.0},
        }
        if block["attack"] == "brepmi"
        else {},
        "queried_agreement": 0.98,
        "stand_in_agreement": 0.8 if "surrogates" in block["queried_model"] else None,
        "stand_in": {"test_accuracy": 0.9, "trapdoor_success": 0.25 if trapped(defense) else None}
        if "surrogates" in block["queried_model"]
        else None,
        "knn_dist": 120.0 - 60 * aa1,
        "frechet": 30.0 - 10 * aa1 if hits >= 10 else None,
        "frechet_features": "evaluator",
        "n_success": hits,
        "n": N,
        "target_agreement": 0.99,
        "signature": signature if trapped(defense) else None,
        "fidelity": FIDELITY,
        "paper": None
        if block["attack"] == "random"
        else {
            "aa1": aa1 - 0.01,
            "aa5": min(1.0, aa1 + 0.19),
            "aa1_std": 0.03,
            "aa5_std": 0.02,
            "knn_dist": 130.0 - 60 * aa1,
            "frechet": 31.0 - 10 * aa1,
            "n_success": hits - 1,
            "signature": signature if trapped(defense) else None,
            "attack_batch": 250,
            "pixels": 112,
        },
        "judges": judged,
        "protocol": {
            "evaluator": "evaluator",
            "frechet_features": "evaluator",
            "identities": 20,
            "images_per_identity": 1 if block["attack"] == "brepmi" else 5,
        },
        "checks": {"target_agreement": True},
        "failed_checks": {},
        "computed_on": MACHINE,
    }


def _training(root: Path, section: str, row: str, block: dict[str, Any], epochs: int) -> None:
    folder = root / "reports" / "training" / section / row
    _stats(folder)
    classifier = section in ("evaluators", "pretrained", "targets")
    names = (
        ["loss", "accuracy", "val_accuracy", "test_accuracy"] if classifier else ["critic", "gap"]
    )
    protected = trapped(block.get("defense", ""))
    names += ["trapdoor_loss", "trapdoor_success"] * protected
    names += PARTS.get(block.get("defense", ""), ())
    lines = [",".join(["step", *names])]
    for step in range(1, epochs + 1):
        rise = 1 - math.exp(-step / (3 + block["seed"]))
        fields = [
            f"{rise if name.endswith(('accuracy', 'success')) else 3 * (1.05 - rise):.6g}"
            for name in names
        ]
        lines.append(",".join([str(step), *fields]))
    (folder / "history.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = ["triggers", "poisoned"] * protected + ["samples"] * section.endswith("priors")
    if names:
        grey = torch.full((1, 8, 3, 16, 16), 0.7)
        checkpoints.save(folder / "samples.pt", dict.fromkeys(names, grey))
    for name in names:  # as the report draws them, for MLflow
        drawn = root / "reports" / "figures" / "samples" / section / row / f"{name}.png"
        _picture(drawn, name, (420, 110))


def _stats(folder: Path, **more: int) -> None:
    stats = {
        "seconds": 12.5,
        "cpu_seconds": 10.0,
        "peak_memory_mb": 840.0,
        "device": "cpu",
        "torch": "2.14.1",
    }
    stats |= {"instructions": "AVX2", "onednn": "AVX2"}
    times = {"started": "2026-03-01T08:00:00.000+00:00", "ended": "2026-03-01T08:00:12.500+00:00"}
    write_json(folder / "stats.json", stats | times | more)


def _picture(path: Path, text: str, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (205, 190, 175))
    ImageDraw.Draw(image).text((10, 10), text, fill=(40, 40, 40))
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())
