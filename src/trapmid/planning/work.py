"""What the stages of a study repeat, and how often: counted from params.yaml alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from trapmid.config import params
from trapmid.planning.sizes import images

Kind = Literal["train", "prior", "search", "imitate", "ask", "query"]

_SEARCHES = ("gmi", "plgmi", "kedmi", "lomma", "ppa", "ifgmi")  # of so many steps as they are told
_PATIENCES = 3.3
"""Moves until a search of BREP-MI ends, as a multiple of its `patience`: the mean of 24 people
under 12 defences, 2.8 to 3.7, where at most 5 are allowed (profile `attacks`, drawn faces)."""
_STEPS_OF_PGD = 20
_PAPER_BALLS = 2  # in which a signature is looked for


class Unit(NamedTuple):
    """Something that is repeated, and that takes as long each time.

    A step of a training (`train`, `imitate`) or of a prior's (`prior`), a step of a search for one
    image (`search`), a question about one image (`ask`), or about one latent's image (`query`).
    """

    kind: Kind
    method: str  # module of the defence, prior, attack or surrogate; of `ask`: nothing
    block: str  # its parameters, as JSON
    arch: str  # the network that learns or is asked; "": none
    classes: int
    image_size: int
    batch: int  # images a step; of `search`: images of the whole attack; of `query`: asked at once
    prior: str = ""  # of a search: module of its prior, ...
    prior_block: str = "null"  # ... and its parameters
    precision: str = "fp32"


class Stage(NamedTuple):
    """One row of one stage."""

    name: str  # as DVC has it
    row: str
    work: tuple[tuple[Unit, float], ...] = ()  # units and how often
    pictures: float = 0.0  # that it draws, decodes or describes by other means
    untimed: str = ""  # what of it nobody counts; "": nothing

    @property
    def label(self) -> str:
        return f"{self.name}@{self.row}" if self.row else self.name


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
        *(_asking(study, "estimate_signatures", n, r) for n, r in study["signatures"].items()),
        *_priors(study, "guided_priors", "train_guided_prior"),
        *(Stage("train_judge", n, untimed="a judge's training") for n in study["trained_judges"]),
        *(_search(study, name, row) for name, row in study["attack_runs"].items()),
        *_scores(study),
        Stage("report", "", pictures=len(study["attack_runs"])),
        Stage("track", ""),
    ]


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
    block = _plain(params.of_row(study, section, name))
    batch = min(plan["batch_size"], learnt)
    steps = plan["epochs"] * (learnt // batch)
    share = float(block.get("until", 1.0))
    for until, part in ((1.0, share), (0.0, 1 - share)):
        if part > 0 and steps:
            changed = block | {"until": until} if "until" in block else block
            unit = Unit(
                "train", row["method"], _json(changed), row["arch"],
                of.classes, of.size, batch, precision=plan["precision"],
            )  # fmt: skip
            yield unit, steps * part
    yield _question(study, section, name), float((plan["epochs"] + 1) * held)


def _question(study: Mapping[str, Any], section: str, name: str) -> Unit:
    """Asking the classifier of a row about an image; what a defence adds to it takes no time."""
    row = study[section][name]
    of = images(study, row["data"])
    return Unit("ask", "", "null", row["arch"], of.classes, of.size, 256)


def _queried(study: Mapping[str, Any], row: Mapping[str, Any]) -> Unit:
    """Asking what a row of priors or attacks asks."""
    _, kind, name = row["queried_model"].rsplit("/", 2)
    return _question(study, "surrogates" if kind == "surrogates" else "targets", name)


def _priors(study: Mapping[str, Any], section: str, stage: str) -> Iterator[Stage]:
    for name, row in study[section].items():
        of, block = images(study, row["data"]), _plain(params.of_row(study, section, name))
        asked = _queried(study, row) if section == "guided_priors" else None
        unit = Unit(
            "prior", row["method"], _json(_timed(block)), asked.arch if asked else "",
            of.classes if asked else 1, of.size,
            block["batch_size"], precision=block["precision"],
        )  # fmt: skip
        work = [(unit, float(block["steps"]))] if block["steps"] else []  # 0: taken as `init` is
        if asked is not None and row["method"] == "plgmi":
            work.append((asked, float(of.public)))  # pseudo-labels
        if asked is not None and block.get("candidates"):
            work.append((asked, 2.0 * block["candidates"]["pool"]))  # an image and its mirror image
        yield Stage(stage, name, tuple(work))


def _timed(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block without what changes nothing of how long a step takes."""
    return {key: None if key == "adaptive" else min(v, 1) if key == "steps" else v
            for key, v in block.items()}  # fmt: skip


def _surrogates(study: Mapping[str, Any]) -> Iterator[Stage]:
    for name, row in study["surrogates"].items():
        block = _plain(params.of_row(study, "surrogates", name))
        of, target = images(study, row["data"]), study["targets"][row["target"]]
        arch = target["arch"] if row["method"] == "finetune" else row["arch"]
        batch = min(block["batch_size"], of.public)
        unit = Unit(
            "imitate", row["method"], _json(block), arch, of.classes, of.size, batch,
            precision=block["precision"],
        )  # fmt: skip
        asked = _question(study, "targets", row["target"])
        steps = block["epochs"] * (of.public // batch)
        yield Stage("train_surrogate", name, ((unit, steps), (asked, of.public)))


def _asking(study: Mapping[str, Any], stage: str, name: str, row: Mapping[str, Any]) -> Stage:
    """A target asked about all public images."""
    asked = _question(study, "targets", row["target"])
    return Stage(stage, name, ((asked, images(study, row["data"]).public),))


def _search(study: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Stage:
    block = _plain(params.of_row(study, "attack_runs", name))
    if row["method"] == "brepmi":
        return _label_search(study, name, row, block)
    if row["method"] not in _SEARCHES:
        free = row["method"] == "random"
        return Stage("invert", name, untimed="" if free else f"the search of {row['method']}")
    asked, each = _queried(study, row), study["inversion"]["images_per_class"]
    rows = asked.classes * _searched_of_each(row["method"], block, each)
    unit = Unit(
        "search", row["method"], _json(_timed(block)),
        asked.arch, asked.classes, asked.image_size, rows,
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
    asked = _queried(study, row)
    each = min(block["images_per_class"], study["inversion"]["images_per_class"])
    rows, moves = asked.classes * each, _PATIENCES * block["patience"]
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
    return study[kind][name]["method"], _json(_timed(_plain(params.of_row(study, kind, name))))


def _searched_of_each(method: str, block: Mapping[str, Any], each: int) -> int:
    """Searches of one class, where `each` images of it are wanted."""
    if method == "kedmi" or block.get("search") == "distributions":
        return 1
    return block.get("candidates") or each


def _kept_of_each(block: Mapping[str, Any], each: int) -> int:
    """Images of one class that are scored: PPA has a number of its own, and so has BREP-MI."""
    if block.get("robustness"):
        return int(block["robustness"]["keep"])
    return block.get("candidates") or block.get("images_per_class") or each


def _scores(study: Mapping[str, Any]) -> Iterator[Stage]:
    for name, row in study["evaluators"].items():
        asked, of = _question(study, "evaluators", name), images(study, row["data"])
        seen = of.train + of.held + of.public
        yield Stage("evaluate_evaluator", name, ((asked, seen),), pictures=seen)
    balls = len(study["evaluation"]["robust_radii"])
    for name, row in study["targets"].items():
        asked, of = _question(study, "targets", name), images(study, row["data"])
        planted = "alpha" in _plain(params.of_row(study, "targets", name))
        # PGD: forward and backward to the pixels are three questions
        pgd = (balls + planted * _PAPER_BALLS) * _STEPS_OF_PGD * 3 * of.test
        seen = of.train + of.held + planted * (of.train + of.public)
        yield Stage("evaluate_target", name, ((asked, float(pgd + seen)),))
    for name in study["judges"]:
        yield Stage("evaluate_judge", name)
    for name, row in study["attack_runs"].items():
        asked = _question(study, "evaluators", row["evaluator"])
        block = _plain(params.of_row(study, "attack_runs", name))
        rows = asked.classes * _kept_of_each(block, study["inversion"]["images_per_class"])
        yield Stage("evaluate", name, ((asked, float(rows)),))


def _plain(block: Any) -> dict[str, Any]:
    found: dict[str, Any] = block.plain() if hasattr(block, "plain") else dict(block)
    return found


def _json(block: Mapping[str, Any]) -> str:
    return json.dumps(block, sort_keys=True)
