"""MLflow's client, and the only module that imports MLflow."""

from __future__ import annotations

import functools
import importlib.util
import json
import logging
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trapmid.artifacts import results
from trapmid.tracking import database
from trapmid.tracking.address import Address, sqlite_uri
from trapmid.tracking.inputs import DataUsed
from trapmid.tracking.patience import SECONDS, within
from trapmid.tracking.values import allowed

_ENVIRONMENT = {  # measured: without them one call to a dead server takes 249 s
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # two lines a run
}
_TALKATIVE = (  # tables that are made, tries, tracebacks: one line says here what went wrong
    *("alembic", "mlflow.store.db.utils", "urllib3.connectionpool"),
    "mlflow.tracking._tracking_service.utils",
)
_REVISION = re.compile(r"""^(revision|down_revision)\b[^=\n]*= ["'](\w+)["']""", re.MULTILINE)
_VALUES_PER_CALL, _PARAMS_PER_CALL = 1000, 100  # limits of MLflow's log_batch


def open_database(file: Path) -> None:
    """Makes the SQLite file of a store, or brings it up to date, before MLflow does it in place.

    Raises:
        DatabaseError: see `database.prepare`.
    """
    database.prepare(file, _revisions(), lambda made: connect(_sqlite(made)))


def _sqlite(file: Path) -> Address:
    uri = sqlite_uri(file)
    return Address(uri=uri, shown=uri)


def connect(place: Address) -> Any:
    """MLflow's client, which opens a database at once."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from mlflow import MlflowClient  # 2 s, and only here

    if place.is_sqlite:
        return MlflowClient(tracking_uri=place.uri)
    return within(SECONDS, functools.partial(MlflowClient, tracking_uri=place.uri))


def _revisions() -> list[str]:
    """Of MLflow's tables, the newest first: alembic, which walks them, takes 1.5 s for it."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("mlflow is not installed")
    before: dict[str | None, str] = {}
    for script in Path(spec.origin).parent.glob("store/db_migrations/versions/[!_]*.py"):
        said = dict(_REVISION.findall(script.read_text(encoding="utf-8")))
        before[said.get("down_revision")] = said["revision"]
    found: list[str] = []
    while (following := before.get(found[0] if found else None)) is not None:
        found.insert(0, following)
    return found


def fill(
    client: Any,
    run: Any,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    curve: results.History | None = None,
) -> None:
    """Gives the run its values, in as few calls as MLflow takes.

    Args:
        client: see `connect`.
        run: of MLflow's; its start is the time of every value.
        params: text by name.
        metrics: numbers by name, at step 0.
        curve: numbers over steps; one that is not finite is a gap.
    """
    from mlflow.entities import Metric, Param

    time = run.info.start_time
    points = [Metric(name, value, time, 0) for name, value in metrics.items()]
    if curve is not None:
        points += [
            Metric(allowed(f"curve.{name}"), value, time, int(step))
            for name, values in curve.metrics.items()
            for step, value in zip(curve.steps, values, strict=True)
            if math.isfinite(value)
        ]
    left = [Param(name, value) for name, value in params.items()]
    while left or points:
        now, left = left[:_PARAMS_PER_CALL], left[_PARAMS_PER_CALL:]
        most = _VALUES_PER_CALL - len(now)
        client.log_batch(run.info.run_id, metrics=points[:most], params=now)
        points = points[most:]


def log_data(client: Any, run_id: str, used: Iterable[DataUsed]) -> None:
    """Names the data sets of a run; no image and no table is read."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = [
        DatasetInput(
            Dataset(
                name=data.name,
                digest=data.digest,
                source_type="local",
                source=json.dumps({"uri": data.folder}),
                schema=json.dumps(
                    {"mlflow_tensorspec": {"features": data.images, "targets": None}}
                ),
                profile=json.dumps(data.counts),
            ),
            [InputTag("mlflow.data.context", data.context)],
        )
        for data in used
    ]
    if found:
        client.log_inputs(run_id, datasets=found)
