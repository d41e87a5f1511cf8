"""MLflow, and the only file that knows it.

MLflow is a view that can be rebuilt: every number and picture comes from a file that a stage left,
and a study is found again by a key made of its content. So a stage that DVC restored from its
cache still shows, tracking twice adds nothing, and a deleted store comes back whole. A run belongs
to one study: a row that two studies share has a run under each parent, which holds all its rows.

Nothing here may stop a study: a store that cannot be reached costs seconds and one line.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import logging
import math
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from trapmid.artifacts import results
from trapmid.config.params import of_row
from trapmid.scoring.scores import KINDS

EXPERIMENT = "trapmid"

KEY = "trapmid.key"
"""The tag by which a run is found again."""

HEADLINE = ("aa1", "aa5", "knn_dist", "frechet", "test_accuracy", "trapdoor_success")
"""The scores of a row that MLflow's pages are to show first."""

FIRST = "Main"
"""Their section there; MLflow puts metrics that name no section last."""

ARTIFACTS = "mlartifacts"
"""The folder of pictures and files beside mlflow.db, which `trapmid ui` serves."""

# Not a folder: MLflow would store its absolute path, and a moved or copied project would look for
# its pictures where it came from. What the server serves is known to whoever starts it.
_LOCATION = "mlflow-artifacts:/trapmid"

_STAGES = {
    "evaluators": "evaluator",
    "pretrained": "start",
    "targets": "target",
    "public_priors": "prior",
    "surrogates": "surrogate",
    "guided_priors": "prior",
    "attack_runs": "attack",
}
_ROWS = (*results.TRAINED, "leaks", "signatures")  # sections of params.yaml that hold rows
_ENVIRONMENT = {  # measured: without them one call to a dead server takes 249 s
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_INHERITED = ("git.rev", "mlflow.source.git.commit", "DVC_EXP_NAME")  # of a study, by its rows
_PROBE_SECONDS = 2.0
_VALUES_PER_CALL, _PARAMS_PER_CALL = 1000, 100  # limits of MLflow's log_batch
_PARAM_LENGTH = 6000


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


class Tracked(NamedTuple):
    """How many runs were made, and how many were there already; the parent counts."""

    new: int
    reused: int


def collect(params: Mapping[str, Any], root: Path) -> Study:
    """Reads everything to track from the files under `root`; touches no store.

    Raises:
        ValueError: a result file is missing or malformed.
    """
    records = tuple(
        _record(params, root, section, row)
        for section in results.TRAINED
        for row in params[section]
    )
    summary = results.read_json(root / "reports" / "metrics.json")
    shown = (
        root / "params.yaml",
        root / "dvc.lock",
        root / "reports" / "metrics.json",
        root / "reports" / "report.html",
    )
    # report.html holds measured times; two machines with equal scores have one study.
    key = _digest([params, summary, [record.key for record in records]], [])
    name = os.environ.get("DVC_EXP_NAME") or f"{params['profile']}-{key[:8]}"
    blocks = {k: v for k, v in params.items() if k not in (*_ROWS, "profile", "seeds")}
    return Study(
        name=name,
        key=key,
        tags={"stage": "study", "profile": str(params["profile"]), **_identity(root)},
        params=_study_headline(params) | _flat(blocks),
        metrics=_study_scores(params, summary) | _numbers(summary),
        files=tuple(path for path in shown if path.exists()),
        records=records,
    )


def store(home: Path) -> str:
    """The address of the store: the environment's, or a database in the folder `home`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home.resolve()}/mlflow.db"


def track(study: Study, home: Path) -> Tracked | None:
    """Makes MLflow show the study: new runs once, known ones by reuse.

    Args:
        study: from `collect`.
        home: the folder of the default store, mlflow.db and mlartifacts/, and of the lock.
            `MLFLOW_TRACKING_URI` names another store.

    Returns:
        What was done, or None where the store could not be used; a warning was printed then.
    """
    uri = store(home)
    problem = _probe(uri)
    if problem is None:
        try:
            with _locked(home):
                return _Store(uri, home).track(study)
        except Exception as error:
            # Whatever a store throws (MLflow's, SQLAlchemy's, the network's and the disk's errors
            # share no base), the results are in files and the study must go on.
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    print(
        f"track: warning: {uri}: {problem}; nothing is lost, "
        "`python stages/track.py` fills the store when it is back"
    )
    return None


# --- from files to records ----------------------------------------------------------------------


def _record(params: Mapping[str, Any], root: Path, section: str, row: str) -> Record:
    folder = results.training_folder(root, section, row)
    stats = results.read_json(folder / "stats.json")
    scores: dict[str, float] = {}
    files = []
    if section in KINDS:
        scores = _numbers(KINDS[section].read(root, row).to_json())
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
    row_params = _flat(_blocks(params, section, row))
    times = {f"cost.{key}": value for key, value in _numbers(stats).items()}
    name = f"{_STAGES[section]}/{row}"
    tags = {"stage": _STAGES[section], "section": section, "row": row}
    tags["profile"] = str(params["profile"])
    tags |= {"device": str(stats.get("device", "")), "torch": str(stats.get("torch", ""))}
    names = _names(params, section, row)
    return Record(
        name=name,
        # stats.json is left out: how long it took is no part of what came out.
        key=_digest([section, row, row_params], files),
        tags=tags | names,
        params=_headline(params[section][row], section, row, names) | row_params,
        metrics=_sectioned(scores | times),
        curve=curve,
        pictures={name: path for name, path in pictures.items() if path.exists()},
        started=_milliseconds(stats, "started", folder),
        ended=_milliseconds(stats, "ended", folder),
    )


def _headline(
    block: Mapping[str, Any], section: str, row: str, names: Mapping[str, str]
) -> dict[str, str]:
    """What a reader compares rows by, and every row has.

    MLflow's compare page draws the first three parameters that differ, capitals first, and calls
    one that a run lacks "unknown". Two rows differ in three of these, or their blocks are alike.
    """
    kind = _STAGES[section]
    prior = f"{section.removesuffix('_priors')}/{row}" if kind == "prior" else None
    if "prior" in block:
        prior = str(block["prior"]).removeprefix("models/priors/")
    found = {
        "Attack": names.get("attack"),
        "Defense": names.get("defense"),
        "Queried model": names.get("queried_model"),
        "Kind": kind,
        "Prior": prior,
        "Row": f"{kind}/{row}",
        "Seed": names.get("seed"),
        "Target": row if kind == "target" else block.get("target"),
        "Technique": names.get("method"),
    }
    return {name: "-" if value is None else str(value) for name, value in found.items()}


def _study_headline(params: Mapping[str, Any]) -> dict[str, str]:
    """The same for whole studies."""
    return {
        "Attacks": _listed(row["attack"] for row in params["attack_runs"].values()),
        "Defenses": _listed(row["defense"] for row in params["targets"].values()),
        "Profile": str(params["profile"]),
        "Rows": str(sum(len(params[section]) for section in results.TRAINED)),
        "Seeds": _listed(params["seeds"]),
    }


def _listed(values: Iterable[Any]) -> str:
    return " ".join(dict.fromkeys(map(str, values)))[:_PARAM_LENGTH]


def _study_scores(params: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, float]:
    """By defence: what the attack that gets most gets, and the accuracy that is left."""
    worst, targets = summary.get("worst", {}), summary.get("targets", {})
    defenses = sorted(worst, key=lambda name: name in params["gate"]["controls"])
    found = {f"worst_aa1.{name}": worst[name].get("aa1") for name in defenses}
    found |= {f"test_accuracy.{name}": row.get("test_accuracy") for name, row in targets.items()}
    return {f"{FIRST}/{name}": value for name, value in _numbers(found).items()}


def _sectioned(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics, `HEADLINE` first by name and in order: MLflow compares by the first."""
    first = {f"{FIRST}/{name}": metrics[name] for name in HEADLINE if name in metrics}
    return first | {name: value for name, value in metrics.items() if name not in HEADLINE}


def _milliseconds(stats: Mapping[str, Any], key: str, folder: Path) -> int | None:
    if key not in stats:
        return None
    try:
        return round(datetime.fromisoformat(stats[key]).timestamp() * 1000)
    except (TypeError, ValueError):
        message = f"{folder / 'stats.json'}: {key}: no time: {stats[key]!r}"
        raise results.ResultError(message) from None


def _names(params: Mapping[str, Any], section: str, row: str) -> dict[str, str]:
    """Tags to group and filter by: the defence and the attack, where the row has them."""
    block = params[section][row]
    target = params["targets"].get(block.get("target"), block if section == "targets" else {})
    found = {
        "defense": target.get("defense"),
        "attack": block.get("attack"),
        "method": block.get("method"),
        "surrogate": block.get("surrogate"),
        "queried_model": _queried_kind(params, block.get("queried_model")),
        "seed": block.get("seed"),
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def _queried_kind(params: Mapping[str, Any], queried_model: str | None) -> str | None:
    """What a search or a prior asks: the target, or a kind of surrogate; None: the row has none."""
    if queried_model is None:
        return None
    if not queried_model.startswith("models/surrogates/"):
        return "target"
    return str(params["surrogates"][queried_model.rpartition("/")[2]]["surrogate"])


def _blocks(params: Mapping[str, Any], section: str, row: str) -> dict[str, Any]:
    """The row and every block of parameters that it names, its target and its prior included."""
    block = params[section][row]
    found: dict[str, Any] = {"row": block}
    if "data" in block:
        found["data"] = params["data"].get(block["data"])
    if section in _BLOCK:
        found[_BLOCK[section]] = of_row(params, section, row)
    if section in ("evaluators", "pretrained", "targets"):
        found |= _classifier(params, section, row)
    if section == "attack_runs":
        found |= {"inversion": params["inversion"], "evaluation": params["evaluation"]}
        kind, _, prior = str(block["prior"]).removeprefix("models/priors/").partition("/")
        priors = f"{kind}_priors"
        if prior_row := params.get(priors, {}).get(prior):
            found |= {"prior": prior_row, "prior_training": of_row(params, priors, prior)}
    for key in ("queried_model", "side_information"):
        found |= _made(params, key, str(block.get(key, "")))
    if "target" in block:
        found["target"] = params["targets"][block["target"]]
        found |= _classifier(params, "targets", block["target"])
    return found


_BLOCK = {
    "public_priors": "prior_training",
    "surrogates": "surrogate_training",
    "guided_priors": "prior_training",
    "attack_runs": "attack",
}
"""What the parameters of a row's method are called in MLflow."""


def _classifier(params: Mapping[str, Any], section: str, row: str) -> dict[str, Any]:
    """How a classifier was trained, and the parameters of its defence."""
    block = params[section][row]
    fit = params["classifier_training"].get(block["training"])
    return {"training": fit, block["block"]: of_row(params, section, row)}


def _made(params: Mapping[str, Any], key: str, path: str) -> dict[str, Any]:
    """The row of the surrogate or the signatures that the file or folder `path` comes from."""
    section, _, rest = path.removeprefix("models/").partition("/")
    row = rest.partition("/")[0].removesuffix(".pt")
    if section not in ("surrogates", "signatures") or row not in params[section]:
        return {}
    block = params[section][row]
    found: dict[str, Any] = {key: block}
    if section == "surrogates":
        found[f"{key}_training"] = of_row(params, section, row)
    leak = str(block.get("leak", "")).removeprefix("models/leaks/").removesuffix(".pt")
    if leak in params["leaks"]:
        found["leak"] = params["leaks"][leak]
    return found


def _flat(tree: Mapping[str, Any], where: str = "") -> dict[str, str]:
    """Leaves by dotted path, as text."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        path = f"{where}.{key}" if where else str(key)
        if isinstance(value, Mapping):
            flat |= _flat(value, path)
        else:
            flat[_allowed(path)] = str(value)[:_PARAM_LENGTH]
    return flat


def _numbers(tree: Mapping[str, Any], where: str = "") -> dict[str, float]:
    """Numeric leaves by dotted path; a check is 1 or 0, a null is left out."""
    flat: dict[str, float] = {}
    for key, value in tree.items():
        path = f"{where}.{key}" if where else str(key)
        if isinstance(value, Mapping):
            flat |= _numbers(value, path)
        elif isinstance(value, bool | int | float):
            flat[_allowed(path)] = float(value)
    return flat


def _allowed(name: str) -> str:
    return re.sub(r"[^\w\-. /]", "_", name)


def _digest(values: Iterable[Any], files: Iterable[Path]) -> str:
    digest = hashlib.sha256(json.dumps(list(values), sort_keys=True, default=str).encode())
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


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


# --- from records to MLflow ---------------------------------------------------------------------


class _Store:
    """One experiment of one MLflow store."""

    def __init__(self, uri: str, home: Path) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        for name in ("alembic", "mlflow.store.db.utils"):  # creating the tables is no news
            logging.getLogger(name).setLevel(logging.WARNING)
        from mlflow import MlflowClient  # 2 s, and only here

        self._client = MlflowClient(tracking_uri=uri)
        self._served = home.resolve() / ARTIFACTS
        # A server keeps pictures itself. Beside a database nobody does, and what stands under
        # _LOCATION is written here, into the folder that `trapmid ui` serves by that name.
        self._remote = uri.startswith(("http:", "https:"))
        if not self._remote:
            self._client.log_artifact = self._write
        self._experiment = self._open_experiment()

    def track(self, study: Study) -> Tracked:
        """The parent first: a child names it."""
        parent, unfinished = self._open_study(study)
        known = self._search(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        children = {run.data.tags.get(KEY): run for run in known}
        same = {name: study.tags[name] for name in _INHERITED if name in study.tags}
        rows, new = {}, int(unfinished)
        for record in study.records:
            run = children.get(record.key)
            if run is None or run.info.status != "FINISHED":
                run = self._add(record, parent, run, same)
                new += 1
            rows[record.name] = run.info.run_id
        if unfinished:
            self._finish(parent, study, rows)
        return Tracked(new=new, reused=1 + len(study.records) - new)

    def _open_experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None and found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        if found is not None and not self._remote and found.artifact_location != _LOCATION:
            # Of a version that stored absolute paths; it stays to be looked at, this one is filled.
            old = f"{EXPERIMENT} (before, {found.experiment_id})"
            self._client.rename_experiment(found.experiment_id, old)
            found = None
        if found is not None:
            return str(found.experiment_id)
        location = None if self._remote else _LOCATION
        # Without the tag, MLflow opens its pages for language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        made = self._client.create_experiment(EXPERIMENT, artifact_location=location, tags=tags)
        return str(made)

    def _open_study(self, study: Study) -> tuple[Any, bool]:
        """The parent with this key, and whether it still has to be filled.

        A parent that an earlier tracking left unfinished is filled again: the same values at the
        same times and steps are the same points.
        """
        found = self._search(f"tags.`{KEY}` = '{study.key}' and tags.stage = 'study'")
        for run in found:
            if run.info.status == "FINISHED":
                return run, False
        if found:
            return found[0], True
        # A study begins with the first row that the study before it did not have.
        last = self._search("tags.stage = 'study'", order_by=["attributes.end_time DESC"], most=1)
        before = last[0].info.end_time or 0 if last else 0
        now = round(time.time() * 1000)
        fresh = [r.started for r in study.records if r.started and (r.ended or now) > before]
        tags = {**study.tags, KEY: study.key, "mlflow.source.name": "stages/track.py"}
        start = min(fresh, default=now)
        return self._create(study.name, tags, start), True

    def _finish(self, parent: Any, study: Study, rows: Mapping[str, str]) -> None:
        """Fills the parent, at last; `rows`: the runs of its rows."""
        run_id = parent.info.run_id
        self._fill(parent, study.params | {"Study": parent.info.run_name}, study.metrics)
        for path in study.files:
            self._client.log_artifact(run_id, str(path))
        for record in study.records:
            if "reconstructions" in record.pictures:
                path = record.pictures["reconstructions"]
                self._client.log_artifact(run_id, str(path), "reconstructions")
        self._client.log_dict(run_id, rows, "runs.json")
        self._client.set_terminated(run_id, "FINISHED")

    def _add(self, record: Record, parent: Any, run: Any, same: Mapping[str, str]) -> Any:
        """Makes the run of a row, or fills the unfinished `run` again."""
        if run is None:
            tags = {**record.tags, **same, KEY: record.key}
            tags |= {"mlflow.source.name": "stages/track.py"}
            tags |= {"mlflow.parentRunId": parent.info.run_id}
            run = self._create(record.name, tags, record.started)
        elif not self._remote:
            shutil.rmtree(
                self._place(run.info.run_id), ignore_errors=True
            )  # pictures have random names
        params = record.params | {"Study": parent.info.run_name}
        self._fill(run, params, record.metrics, record.curve)
        self._add_pictures(run, record.pictures)
        self._client.set_terminated(run.info.run_id, "FINISHED", end_time=record.ended)
        return run

    def _create(self, name: str, tags: Mapping[str, str], started: int | None) -> Any:
        return self._client.create_run(
            self._experiment, start_time=started, tags=dict(tags), run_name=name
        )

    def _search(self, condition: str, order_by: list[str] | None = None, most: int = 1000) -> Any:
        """Runs of the experiment, all pages of them; with `order_by`, at most the first `most`."""
        look = functools.partial(
            self._client.search_runs,
            [self._experiment],
            condition,
            max_results=most,
            order_by=order_by,
        )
        page = look()
        found = list(page)
        while page.token and order_by is None:
            page = look(page_token=page.token)
            found += page
        return found

    @functools.cache  # noqa: B019, a store lives as long as its tracking
    def _place(self, run_id: str) -> Path:
        """Where the server finds the files of a run, whose address begins with _LOCATION."""
        uri = str(self._client.get_run(run_id).info.artifact_uri)
        return self._served / uri.removeprefix("mlflow-artifacts:/")

    def _write(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        folder = self._place(run_id) / (artifact_path or "")
        folder.mkdir(parents=True, exist_ok=True)
        # Studies share most pictures: one copy of each, and links to it.
        kept = self._served / "content" / _digest([], [Path(local_path)])
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            half = kept.with_suffix(".half")
            shutil.copyfile(local_path, half)
            half.replace(kept)
        file = folder / Path(local_path).name
        file.unlink(missing_ok=True)
        try:
            file.hardlink_to(kept)
        except OSError:  # a file system without links
            shutil.copyfile(kept, file)

    def _fill(
        self,
        run: Any,
        params: Mapping[str, str],
        metrics: Mapping[str, float],
        curve: results.History | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param

        time = run.info.start_time
        points = [Metric(name, value, time, 0) for name, value in metrics.items()]
        if curve is not None:
            points += [
                Metric(_allowed(f"curve.{name}"), value, time, int(step))
                for name, values in curve.metrics.items()
                for step, value in zip(curve.steps, values, strict=True)
                if math.isfinite(value)
            ]
        left = [Param(name, value) for name, value in params.items()]
        while left or points:
            now, left = left[:_PARAMS_PER_CALL], left[_PARAMS_PER_CALL:]
            most = _VALUES_PER_CALL - len(now)
            self._client.log_batch(run.info.run_id, metrics=points[:most], params=now)
            points = points[most:]

    def _add_pictures(self, run: Any, pictures: Mapping[str, Path]) -> None:
        """As files, and as images that the compare view can show side by side."""
        from PIL import Image

        for name, path in pictures.items():
            self._client.log_artifact(run.info.run_id, str(path), "pictures")
            with Image.open(path) as image:
                time = run.info.start_time
                rgb = image.convert("RGB")
                self._client.log_image(
                    run.info.run_id, rgb, key=f"Pictures/{name}", step=0, timestamp=time
                )


def _probe(uri: str) -> str | None:
    """What is wrong with a server, found in two seconds; None: nothing, or it is no server."""
    if not uri.startswith(("http:", "https:")):
        return None
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_PROBE_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"/health answers {error.code}"
    except (OSError, ValueError) as error:
        return f"no MLflow server answers ({' '.join(str(error).split())})"


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One tracking at a time: two processes that create one SQLite store crash each other."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
