"""What MLflow is to hold of a study, read from the files that its stages left."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from trapmid.artifacts import results
from trapmid.scoring.scores import KINDS
from trapmid.tracking.headlines import STAGES, headline, sectioned, study_headline, study_scores
from trapmid.tracking.named import row_blocks, row_tags
from trapmid.tracking.values import digest, flat, numbers

_ROWS = (*results.TRAINED, "leaks", "signatures")  # sections of params.yaml that hold rows


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
    data = _data_digests(params, root)
    records = tuple(
        _record(params, root, section, row, data)
        for section in results.TRAINED
        for row in params[section]
    )
    summary = results.read_json(root / "reports" / "metrics.json")
    shown = (
        root / "params.yaml",
        root / "dvc.lock",
        root / "reports" / "metrics.json",
        root / "reports" / "report.html",
        root / "reports" / "paper.html",
    )
    # Its pages hold measured times; two machines with equal scores have one study.
    key = digest([params, summary, [record.key for record in records]], [])
    name = os.environ.get("DVC_EXP_NAME") or f"{params['profile']}-{key[:8]}"
    blocks = {k: v for k, v in params.items() if k not in (*_ROWS, "profile", "seeds")}
    return Study(
        name=name,
        key=key,
        tags={"stage": "study", "profile": str(params["profile"]), **_identity(root)}
        | {f"data.{name}.md5": digest for name, digest in data.items()},
        params=study_headline(params) | flat(blocks),
        metrics=study_scores(params, summary) | numbers(summary),
        files=tuple(path for path in shown if path.exists()),
        records=records,
    )


def _record(
    params: Mapping[str, Any], root: Path, section: str, row: str, data: Mapping[str, str]
) -> Record:
    folder = results.training_folder(root, section, row)
    stats = results.read_json(folder / "stats.json")
    scores: dict[str, float] = {}
    files = []
    if section in KINDS:
        scores = numbers(KINDS[section].read(root, row).to_json())
        files.append(results.scores_path(root, section, row))
    history = folder / "history.csv"
    curve = None
    if history.exists() or section != "attack_runs":
        curve = results.read_history(history)
        files.append(history)
    pictures = {
        path.stem: path for path in sorted(results.samples_folder(root, section, row).glob("*.png"))
    }
    if section == "attack_runs":
        pictures["reconstructions"] = results.grid_path(root, row)
    files += [path for path in pictures.values() if path.exists()]
    row_params = flat(row_blocks(params, section, row))
    times = {f"cost.{key}": value for key, value in numbers(stats).items()}
    name = f"{STAGES[section]}/{row}"
    tags = {"stage": STAGES[section], "section": section, "row": row}
    tags["profile"] = str(params["profile"])
    used = params[section][row].get("data")
    tags |= {"data.md5": data[used]} if used in data else {}
    tags |= {"device": str(stats.get("device", "")), "torch": str(stats.get("torch", ""))}
    names = row_tags(params, section, row)
    return Record(
        name=name,
        # stats.json is left out: how long it took is no part of what came out.
        key=digest([section, row, row_params], files),
        tags=tags | names,
        params=headline(params[section][row], section, row, names) | row_params,
        metrics=sectioned(scores | times),
        curve=curve,
        pictures={name: path for name, path in pictures.items() if path.exists()},
        started=_milliseconds(stats, "started", folder),
        ended=_milliseconds(stats, "ended", folder),
    )


def _data_digests(params: Mapping[str, Any], root: Path) -> dict[str, str]:
    """What DVC knows the prepared data by: the manifest's digest, which has one of every image.

    MLflow's own datasets are not used: their digest covers the first 10,000 rows.
    """
    lock = root / "dvc.lock"
    if not lock.exists():
        return {}
    text = lock.read_text(encoding="utf-8")
    found = {}
    for name in params["data"]:
        manifest = re.escape(f"data/prepared/{name}/manifest.csv")
        if digests := re.findall(rf"path: {manifest}\n +hash: md5\n +md5: (\w+)\n", text):
            found[name] = digests[-1]
    return found


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
