"""What MLflow is to hold of a study, read from the files that its stages left."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from trapmid.artifacts import results
from trapmid.scoring.machine import FIELDS
from trapmid.scoring.scores import KINDS
from trapmid.tracking.headlines import (
    AGREE,
    STAGES,
    agreement,
    headline,
    sectioned,
    study_headline,
    study_scores,
    with_intervals,
)
from trapmid.tracking.inputs import DataUsed, data_used, lock_digests, manifest
from trapmid.tracking.models import Model, target_model
from trapmid.tracking.named import row_blocks, row_tags
from trapmid.tracking.values import digest, flat, numbers

_SECTIONS = (*results.TRAINED, "judges")  # whose rows have a run
_ROWS = (*_SECTIONS, "leaks", "signatures")  # sections of params.yaml that hold rows


@dataclass(frozen=True, kw_only=True)
class Record:
    """What MLflow is to hold of one row of params.yaml."""

    name: str  # kind and row
    key: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    curve: results.History | None
    pictures: dict[str, Path]  # by name
    data: tuple[DataUsed, ...]
    model: Model | None  # None: the row is no target, or its checkpoint is not here
    started: int | None  # ms since 1970; None: the stage did not say
    ended: int | None


@dataclass(frozen=True, kw_only=True)
class Study:
    """The state of the whole study: one parent run, and a run per row."""

    name: str
    key: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    files: tuple[Path, ...]
    records: tuple[Record, ...]


def collect(params: Mapping[str, Any], root: Path) -> Study:
    """Reads everything to track from the files under `root`; touches no store.

    Raises:
        ValueError: a result file is missing or malformed.
    """
    lock = lock_digests(root)
    records = tuple(
        _record(params, root, section, row, lock)
        for section in _SECTIONS
        for row in params[section]
    )
    summary = results.read_json(root / "reports" / "metrics.json")
    agreed = agreement(
        params,
        {r.tags["row"]: r.metrics[AGREE] for r in records if AGREE in r.metrics},
        {r.tags["row"] for r in records if r.metrics.get("left_out")},
    )
    shown = (
        root / "params.yaml",
        root / "dvc.lock",
        root / "reports" / "metrics.json",
        root / "reports" / "report.html",
        root / "reports" / "paper.html",
    )
    # Its pages hold measured times; two machines with equal scores have one study.
    key = digest([params, _result(summary), [record.key for record in records]], [])
    name = os.environ.get("DVC_EXP_NAME") or f"{params['profile']}-{key[:8]}"
    blocks = {k: v for k, v in params.items() if k not in (*_ROWS, "profile", "seeds")}
    return Study(
        name=name,
        key=key,
        tags=_study_tags(params, root, lock),
        params=study_headline(params) | flat(blocks),
        metrics=study_scores(params, summary, agreed) | with_intervals(numbers(summary)),
        files=tuple(path for path in shown if path.exists()),
        records=records,
    )


def _record(
    params: Mapping[str, Any], root: Path, section: str, row: str, lock: Mapping[str, str]
) -> Record:
    folder = results.training_folder(root, section, row)
    # A judge is shipped: nobody trained it here.
    stats = {} if section == "judges" else results.read_json(folder / "stats.json")
    scores: dict[str, float] = {}
    measured: dict[str, Any] = {}
    files = []
    if section in KINDS:
        measured = KINDS[section].read(root, row).to_json()
        scores = with_intervals(numbers(measured))
    history = folder / "history.csv"
    curve = None
    if history.exists() or section not in ("attack_runs", "judges"):
        curve = results.read_history(history)
        files.append(history)
    pictures = _pictures(root, section, row)
    files += pictures.values()
    row_params = flat(row_blocks(params, section, row))
    times = {f"cost.{key}": value for key, value in numbers(stats).items()}
    names = row_tags(params, section, row)
    return Record(
        name=f"{STAGES[section]}/{row}",
        # stats.json is left out: how long it took is no part of what came out.
        key=digest([section, row, row_params, _result(measured)], files),
        tags=_tags(params, section, row, lock) | _machine(stats) | names,
        params=headline(params[section][row], section, row, names) | row_params,
        metrics=sectioned(scores | times),
        curve=curve,
        pictures=pictures,
        data=data_used(params, root, section, row, lock),
        model=target_model(params, root, row) if section == "targets" else None,
        started=_milliseconds(stats, "started", folder),
        ended=_milliseconds(stats, "ended", folder),
    )


def _result(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers without the machine: equal scores of two machines are one result."""
    return {name: value for name, value in scores.items() if name != "computed_on"}


def _pictures(root: Path, section: str, row: str) -> dict[str, Path]:
    samples = sorted(results.samples_folder(root, section, row).glob("*.png"))
    found = {path.stem: path for path in samples}
    if section == "attack_runs":
        found["reconstructions"] = results.grid_path(root, row)
    return {name: path for name, path in found.items() if path.exists()}


def _tags(
    params: Mapping[str, Any], section: str, row: str, lock: Mapping[str, str]
) -> dict[str, str]:
    """Which row it is, and what DVC knows its data and its model by."""
    found = {"stage": STAGES[section], "section": section, "row": row}
    found["profile"] = str(params["profile"])
    files = {"model.md5": f"models/targets/{row}/model.pt"} if section == "targets" else {}
    files["data.md5"] = manifest(str(params[section][row].get("data")))
    return found | {name: lock[file] for name, file in files.items() if file in lock}


def _machine(stats: Mapping[str, Any]) -> dict[str, str]:
    """What decides the last bits of a result; empty: it was not recorded."""
    return {name: str(stats[name]) for name in FIELDS if stats.get(name)}


def _study_tags(params: Mapping[str, Any], root: Path, lock: Mapping[str, str]) -> dict[str, str]:
    data = {f"data.{name}.md5": lock.get(manifest(name)) for name in params["data"]}
    tags = {"stage": "study", "profile": str(params["profile"])}
    tags |= {"judges": " ".join(params["judges"])}
    return tags | _identity(root) | {name: md5 for name, md5 in data.items() if md5}


def _milliseconds(stats: Mapping[str, Any], key: str, folder: Path) -> int | None:
    if key not in stats:
        return None
    try:
        return round(datetime.fromisoformat(stats[key]).timestamp() * 1000)
    except (TypeError, ValueError):
        message = f"{folder / 'stats.json'}: {key}: no time: {stats[key]!r}"
        raise results.ResultError(message) from None


def _identity(root: Path) -> dict[str, str]:
    """Which commit and which experiment this state was first seen in."""
    tags = {}
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)
        if done.returncode == 0:
            tags["git.rev"] = tags["mlflow.source.git.commit"] = done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        pass  # no git: the content keys still identify the study
    for variable in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        if os.environ.get(variable):
            tags[variable] = os.environ[variable]
    lock = root / "dvc.lock"
    if lock.exists():
        tags["dvc.lock.md5"] = hashlib.md5(lock.read_bytes(), usedforsecurity=False).hexdigest()
    return tags
