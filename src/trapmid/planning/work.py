"""What the stages of a study repeat, and how often: counted from params.yaml alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trapmid.config import params
from trapmid.planning.scores import is_planted, megabytes, scores
from trapmid.planning.sizes import images
from trapmid.planning.units import LOOKED_UP, Stage, Unit, as_json, plain, queried, question

_SEARCHES = ("gmi", "plgmi", "kedmi", "lomma", "ppa", "ifgmi")  # of so many steps as they are told
_PATIENCES = 3.3
"""Moves until a search of BREP-MI ends, as a multiple of its `patience`: the mean of 24 people
under 12 defences, 2.8 to 3.7, where at most 5 are allowed (profile `attacks`, drawn faces)."""
_SLOPE = 2.3
"""Questions that the slope to an image takes: 2.26 (small_vgg, two slow cores with AVX2)."""
_SETTLED = {False: 17 / 36, True: 13 / 36}
"""Share of the epochs until triggers work well enough to stay, as free ones or not: success was
80 % at epoch 17 and 13 of 36 (profile `cheap_trap`, seed 0; docs/defenses.md). Nobody knows before
how long it takes of other data, or for another `frozen_after`."""


def stages(study: Mapping[str, Any]) -> list[Stage]:
    """Every stage that the rows of params.yaml make, in the order of dvc.yaml."""
    return [
        Stage("code", ""),
        *(Stage("make_raw", name, pictures=_pictures(row)) for name, row in study["raw"].items()),
        *_of_data(study),
        *_trainings(study),
        *_priors(study, "public_priors", "train_public_prior"),
        *_surrogates(study),
        *(Stage("leak_signatures", name) for name in study["leaks"]),
        *(_signatures(study, name, row) for name, row in study["signatures"].items()),
        *_priors(study, "guided_priors", "train_guided_prior"),
        *(_judge_training(study, n, r) for n, r in study["trained_judges"].items()),
        *(
            _search(study, name, row)._replace(megabytes=megabytes(study, name, row))
            for name, row in study["attack_runs"].items()
        ),
        *scores(study),
        Stage("report", "", pictures=len(study["attack_runs"]), megabytes=_shown(study)),
        Stage("track", ""),
    ]


def _shown(study: Mapping[str, Any]) -> float:
    """MB of images that the report holds: all private ones, and one attack run's at a time."""
    private = sum(images(study, name).private_megabytes for name in study["data"])
    runs = (megabytes(study, name, row) for name, row in study["attack_runs"].items())
    return private + max(runs, default=0.0)


def _pictures(raw: Mapping[str, Any]) -> float:
    options = raw["options"]
    if "others" not in options:
        return 0.0
    own = options["identities"] * options["images"]
    return float(own + options["others"] * options["other_images"])


def _of_data(study: Mapping[str, Any]) -> Iterator[Stage]:
    for stage in ("prepare_data", "validate_data"):
        for name in study["data"]:
            yield Stage(stage, name, pictures=images(study, name).pictures)


def _trainings(study: Mapping[str, Any]) -> Iterator[Stage]:
    for section, stage in (
        ("evaluators", "train_evaluator"),
        ("pretrained", "pretrain"),
        ("targets", "train_target"),
    ):
        for name, row in study[section].items():
            yield Stage(stage, name, tuple(_training(study, section, name, row)))


def _training(
    study: Mapping[str, Any], section: str, name: str, row: Mapping[str, Any]
) -> Iterator[tuple[Unit, float]]:
    """Its steps; where triggers stay from some epoch on, these steps by themselves."""
    plan, of = study["classifier_training"][row["training"]], images(study, row["data"])
    teacher, learnt, held = row.get("teacher"), of.train, of.held
    if teacher is not None:
        held = of.public // 20  # see `artifacts.pretraining`
        learnt = of.public - held
        unit = Unit("ask", "", "null", f"{teacher}_head", of.classes, of.size, 256)
        yield unit, float(of.public)
    block = plain(params.of_row(study, section, name))
    batch = min(plan["batch_size"], learnt)
    steps = plan["epochs"] * (learnt // batch)
    share, without = _searched(block), {"until": 0.0, "frozen_after": None}
    for changes, part in (({"until": 1.0}, share), (without, 1 - share)):
        if part > 0 and steps:
            changed = block | {k: v for k, v in changes.items() if k in block}
            unit = Unit(
                "train", row["method"], as_json(changed), row["arch"],
                of.classes, of.size, batch, precision=plan["precision"],
            )  # fmt: skip
            yield unit, steps * part
    if row["arch"] in LOOKED_UP:
        asked = held + _distinct(plan, block, learnt)
    else:
        asked = (plan["epochs"] + 1) * (held + of.test * is_planted(study, name, section))
    yield question(study, section, name), float(asked)


def _searched(block: Mapping[str, Any]) -> float:
    """The share of the epochs in which a defence moves its triggers; 1 of one without a search."""
    share = float(block.get("until", 1.0))
    if block.get("frozen_after") is None:
        return share
    return min(share, _SETTLED[bool(block["free"])])


def _distinct(plan: Mapping[str, Any], block: Mapping[str, Any], learnt: int) -> int:
    """Images that the steps of a training do not find looked up, beside those that they do.

    Of augmented images every one is another: what a step takes has them already.
    """
    if not plan["epochs"] or block.get("augmentation") is not None:
        return 0
    return learnt * (2 if plan["flip"] and plan["epochs"] > 1 else 1)


def _priors(study: Mapping[str, Any], section: str, stage: str) -> Iterator[Stage]:
    for name, row in study[section].items():
        of, block = images(study, row["data"]), plain(params.of_row(study, section, name))
        asked = queried(study, row) if section == "guided_priors" else None
        unit = Unit(
            "prior", row["method"], as_json(_timed(block)), asked.arch if asked else "",
            of.classes if asked else 1, of.size,
            block["batch_size"], precision=block["precision"],
        )  # fmt: skip
        work = [(unit, float(block["steps"]))] if block["steps"] else []  # 0: taken as `init` is
        if asked is not None and row["method"] == "plgmi":
            work.append((asked, float(of.public)))  # pseudo-labels
        if asked is not None and block.get("candidates"):
            pool = float(block["candidates"]["pool"])  # each is drawn; asked, and mirrored, too
            drawn = unit._replace(
                kind="query", block="null", prior=row["method"],
                prior_block=unit.block, precision="fp32",
            )  # fmt: skip
            work += [(drawn, pool), (asked, pool)]
        yield Stage(stage, name, tuple(work))


def _timed(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block without what changes nothing of how long a step takes."""
    return {key: None if key == "adaptive" else min(v, 1) if key == "steps" else v
            for key, v in block.items()}  # fmt: skip


def _surrogates(study: Mapping[str, Any]) -> Iterator[Stage]:
    for name, row in study["surrogates"].items():
        block = plain(params.of_row(study, "surrogates", name))
        of, target = images(study, row["data"]), study["targets"][row["target"]]
        arch = target["arch"] if row["method"] == "finetune" else row["arch"]
        batch = min(block["batch_size"], of.public)
        unit = Unit(
            "imitate", row["method"], as_json(block), arch, of.classes, of.size, batch,
            precision=block["precision"],
        )  # fmt: skip
        asked = question(study, "targets", row["target"])
        steps = block["epochs"] * (of.public // batch)
        yield Stage("train_surrogate", name, ((unit, steps), (asked, of.public)))


def _signatures(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Stage:
    """A target asked about all public images; where triggers are inverted, once more with them."""
    asked, public = question(study, "targets", row["target"]), images(study, row["data"]).public
    if not row.get("inverted"):
        return Stage("estimate_signatures", name, ((asked, public),))
    searched = row["inverted"]["steps"] * row["inverted"]["batch_size"]
    return Stage("estimate_signatures", name, ((asked, 2 * public + _SLOPE * searched),))


def _judge_training(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Stage:
    """Of a whole batch, as if everybody had so many images."""
    block = plain(params.of_row(study, "trained_judges", name))
    unit = Unit(
        "learn", row["method"], as_json(_timed(block)), "", 1, images(study, row["data"]).size,
        block["people"] * block["images_each"] + block["nobodies"],
    )  # fmt: skip
    return Stage("train_judge", name, ((unit, float(block["steps"])),))


def _search(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Stage:
    block = plain(params.of_row(study, "attack_runs", name))
    if row["method"] == "brepmi":
        return _label_search(study, name, row, block)
    if row["method"] not in _SEARCHES:
        free = row["method"] == "random"
        return Stage("invert", name, untimed="" if free else f"the search of {row['method']}")
    asked, plan = queried(study, row), study["inversion"]
    each = plan["images_per_class"]
    rows = asked.classes * _searched_of_each(row["method"], block, each)
    unit = Unit(
        "search", row["method"], as_json(_timed(block)),
        asked.arch, asked.classes, asked.image_size, min(rows, plan["batch_size"] or rows),
        *_prior_of(study, row),
    )  # fmt: skip
    steps = block["steps"] + sum(one["steps"] for one in block.get("layers", ()))
    work = [(unit, float(steps) * rows)]
    if block.get("robustness"):
        work.append((asked, float(block["robustness"]["views"]) * rows))
    return Stage("invert", name, tuple(work))


def _label_search(
    study: Mapping[str, Any], name: str, row: Mapping[str, Any], block: Mapping[str, Any]
) -> Stage:
    """Questions of every move, all of whose rows go on together; and of the first latents."""
    asked = queried(study, row)
    each = min(block["images_per_class"], study["inversion"]["images_per_class"])
    people = min(asked.classes, block["untargeted"] or asked.classes)
    rows, moves = people * each, _PATIENCES * block["patience"]
    if block["proposals"] is not None:
        moves = min(moves, float(block["proposals"]))
    unit = Unit(
        "query", row["method"], "null", asked.arch, asked.classes, asked.image_size,
        rows * block["points"], *_prior_of(study, row),
    )  # fmt: skip
    count = rows * moves * (block["points"] + 1) + each * block["init_batch"]
    return Stage("invert", name, ((unit, count),))


def _prior_of(study: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, str]:
    """Module and parameters of the prior that an attack searches."""
    section, name = row["prior"].rsplit("/", 2)[-2:]
    kind = f"{section}_priors"
    return study[kind][name]["method"], as_json(_timed(plain(params.of_row(study, kind, name))))


def _searched_of_each(method: str, block: Mapping[str, Any], each: int) -> int:
    """Searches of one class, where `each` images of it are wanted."""
    if method == "kedmi" or block.get("search") == "distributions":
        return 1
    return block.get("candidates") or each
