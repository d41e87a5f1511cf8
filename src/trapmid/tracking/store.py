"""A study in a store of MLflow's: which runs it needs, which are there, and their files."""

from __future__ import annotations

import functools
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from trapmid.tracking import models
from trapmid.tracking.address import Address
from trapmid.tracking.client import connect, fill, log_data
from trapmid.tracking.models import Model
from trapmid.tracking.patience import Patient
from trapmid.tracking.records import Record, Study
from trapmid.tracking.values import digest

EXPERIMENT = "trapmid"

KEY = "trapmid.key"
"""The tag by which a run is found again."""

STUDY = "trapmid.study"
"""The tag of a row's run that holds the key of its study."""

ARTIFACTS = "mlartifacts"
"""The folder of pictures and files beside mlflow.db, which `trapmid ui` serves."""

# Not a folder: MLflow would store its absolute path, and a moved or copied project would look for
# its pictures where it came from. What the server serves is known to whoever starts it.
_LOCATION = "mlflow-artifacts:/trapmid"
_FILES_PER_IMAGE = 2  # MLflow keeps a preview beside it
_GRID = "reconstructions"  # the picture of an attack, and the parent's folder of them all
_MOST_SENT = 4 * 2**20  # bytes of a model that a server is sent; a link costs nothing
_INHERITED = (  # of a study, by its rows
    *("git.rev", "mlflow.source.git.commit", "DVC_EXP_NAME"),
    "dvc.lock.md5",
)


class Tracked(NamedTuple):
    """How many runs were made, and how many were there already; the parent counts."""

    new: int
    reused: int


class Store:
    """One experiment of one MLflow store."""

    def __init__(self, place: Address, home: Path) -> None:
        os.environ.update(place.environment)
        client = connect(place)
        self._served = place.folder(home).resolve() / ARTIFACTS
        # A server keeps pictures itself. Beside a database nobody does, and what stands under
        # _LOCATION is written here, into the folder that `trapmid ui` serves by that name.
        self._remote = place.is_server
        if not self._remote:
            client.log_artifact = self._write
        # A file answers as fast as its disk; anybody else is waited for in bounds.
        self._client = client if place.is_sqlite else Patient(client)
        self._experiment = self._open_experiment()

    def track(self, study: Study) -> Tracked:
        """The parent first: a child names it."""
        parent, unfinished = self._open_study(study)
        children, mended = self._children(parent, study.key)
        same = {name: study.tags[name] for name in _INHERITED if name in study.tags}
        same[STUDY] = study.key
        rows, new = {}, 0
        for record in study.records:
            run = children.get(record.key)
            if run is not None and not self._is_whole(run, parent, record):
                self._throw_away(run)
                run = None
            if run is None:
                run = self._add(record, parent, same)
                new += 1
            rows[record.name] = run.info.run_id
        if unfinished:
            params = study.params | {"Study": parent.info.run_name}
            fill(self._client, parent, params, study.metrics)
        if unfinished or new or mended or not self._has_files(parent, study):
            self._finish(parent, study, rows)
        new += unfinished
        return Tracked(new=new, reused=1 + len(study.records) - new)

    def _children(self, parent: Any, key: str) -> tuple[dict[str, Any], bool]:
        """The runs of the study's rows, by key; and whether a second one of a row was thrown away.

        Those of a parent that is gone are among them: it left them in the list.
        """
        own = self._search(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        left = self._search(f"tags.`{STUDY}` = '{key}'")
        found: dict[str, Any] = {}
        mended = False
        for run in {run.info.run_id: run for run in [*own, *left]}.values():
            name = run.data.tags.get(KEY)
            if name in found:
                self._throw_away(run)
                mended = True
            elif name is not None:
                found[name] = run
        return found, mended

    def _is_whole(self, run: Any, parent: Any, record: Record) -> bool:
        """Whether the run is finished, of this parent, and has its data and files still.

        Any other is made anew: what it has already would be there twice, since MLflow gives its
        images random names.
        """
        if run.info.status != "FINISHED":
            return False
        if run.data.tags.get("mlflow.parentRunId") != parent.info.run_id:
            return False
        if len(run.inputs.dataset_inputs) < len(record.data):
            return False  # of a version that did not name them
        if self._takes(record.model) and models.DESCRIPTION not in self._files(run, models.FOLDER):
            return False
        files = {path.name for path in record.pictures.values()}
        return not files or (
            files <= self._files(run, "pictures")
            and len(self._files(run, "images")) >= _FILES_PER_IMAGE * len(record.pictures)
        )

    def _has_files(self, parent: Any, study: Study) -> bool:
        files = {*(path.name for path in study.files), "runs.json"}
        grids = {r.pictures[_GRID].name for r in study.records if _GRID in r.pictures}
        return files <= self._files(parent) and grids <= self._files(parent, _GRID)

    def _files(self, run: Any, folder: str = "") -> set[str]:
        """Names of what is in a folder of the run's files."""
        if self._remote:
            listed = self._client.list_artifacts(run.info.run_id, folder or None)
            return {PurePosixPath(file.path).name for file in listed}
        place = self._place(run.info.run_id) / folder
        return {path.name for path in place.iterdir()} if place.is_dir() else set()

    def _throw_away(self, run: Any) -> None:
        self._client.delete_run(run.info.run_id)
        if not self._remote:
            shutil.rmtree(self._place(run.info.run_id), ignore_errors=True)

    def _open_experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None and found.lifecycle_stage == "deleted":
            # Restored, it would have the runs again that were thrown away before it was: so it
            # only gives its name back.
            self._client.restore_experiment(found.experiment_id)
            self._rename(found, "deleted")
            self._client.delete_experiment(found.experiment_id)
            found = None
        if found is not None and not self._remote and found.artifact_location != _LOCATION:
            # Of a version that stored absolute paths; it stays to be looked at, this one is filled.
            self._rename(found, "before")
            found = None
        if found is not None:
            return str(found.experiment_id)
        location = None if self._remote else _LOCATION
        # Without the tag, MLflow opens its pages for language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        made = self._client.create_experiment(EXPERIMENT, artifact_location=location, tags=tags)
        return str(made)

    def _rename(self, experiment: Any, why: str) -> None:
        name = f"{EXPERIMENT} ({why}, {experiment.experiment_id})"
        self._client.rename_experiment(experiment.experiment_id, name)

    def _open_study(self, study: Study) -> tuple[Any, bool]:
        """The parent with this key, and whether it still has to be filled.

        A parent that an earlier tracking left unfinished is filled again: the same values at the
        same times and steps are the same points. Of several, as after a restore, one stays.
        """
        found = self._search(f"tags.`{KEY}` = '{study.key}' and tags.stage = 'study'")
        found = sorted(found, key=lambda run: run.info.status != "FINISHED")
        for run in found[1:]:
            self._throw_away(run)
        if found:
            return found[0], found[0].info.status != "FINISHED"
        # A study begins with the first row that the study before it did not have.
        last = self._search("tags.stage = 'study'", order_by=["attributes.end_time DESC"], most=1)
        before = last[0].info.end_time or 0 if last else 0
        now = round(time.time() * 1000)
        fresh = [r.started for r in study.records if r.started and (r.ended or now) > before]
        tags = {**study.tags, KEY: study.key, "mlflow.source.name": "stages/track.py"}
        start = min(fresh, default=now)
        return self._create(study.name, tags, start), True

    def _finish(self, parent: Any, study: Study, rows: Mapping[str, str]) -> None:
        """Gives the parent its files, at last; `rows`: the runs of its rows."""
        run_id = parent.info.run_id
        for path in study.files:
            self._client.log_artifact(run_id, str(path))
        for record in study.records:
            if _GRID in record.pictures:
                self._client.log_artifact(run_id, str(record.pictures[_GRID]), _GRID)
        self._client.log_dict(run_id, rows, "runs.json")
        # The pages sort studies by their end: one that is only mended keeps it.
        self._client.set_terminated(run_id, "FINISHED", end_time=parent.info.end_time)

    def _add(self, record: Record, parent: Any, same: Mapping[str, str]) -> Any:
        """Makes the run of a row."""
        tags = {**record.tags, **same, KEY: record.key}
        tags |= {"mlflow.source.name": "stages/track.py"}
        tags |= {"mlflow.parentRunId": parent.info.run_id}
        model = record.model if self._takes(record.model) else None
        tags |= {} if model is None else model.tags()
        run = self._create(record.name, tags, record.started)
        params = record.params | {"Study": parent.info.run_name}
        fill(self._client, run, params, record.metrics, record.curve)
        log_data(self._client, run.info.run_id, record.data)
        self._add_pictures(run, record.pictures)
        if model is not None:
            self._add_model(run, model)
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
        file = self._place(run_id) / (artifact_path or "") / Path(local_path).name
        # Studies share most pictures: one copy of each, and links to it.
        kept = self._served / "content" / digest([], [Path(local_path)])
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            half = kept.with_suffix(".half")
            shutil.copyfile(local_path, half)
            half.replace(kept)
        _link(kept, file)

    def _takes(self, model: Model | None) -> bool:
        """Whether the run is to have the model: a server would be given up over a large file."""
        return model is not None and not (self._remote and model.size > _MOST_SENT)

    def _add_model(self, run: Any, model: Model) -> None:
        """The checkpoint, and what says how it is loaded."""
        run_id = run.info.run_id
        if self._remote:
            self._client.log_artifact(run_id, str(model.file), models.FOLDER)
        else:
            # A checkpoint is written under another name and renamed: nobody writes into this one.
            _link(model.file.resolve(), self._place(run_id) / models.FOLDER / models.CHECKPOINT)
        place = f"{models.FOLDER}/{models.DESCRIPTION}"
        self._client.log_dict(run_id, model.description(), place)

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


def _link(kept: Path, file: Path) -> None:
    """Makes `file` a link to `kept`, or a copy of it where there are no links."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    try:
        file.hardlink_to(kept)
    except OSError:
        shutil.copyfile(kept, file)
