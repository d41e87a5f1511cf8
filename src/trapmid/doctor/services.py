"""What stands beside the study: DVC's state, and MLflow's store."""

from __future__ import annotations

import configparser
import http.client
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ruamel.yaml import YAML

from trapmid.doctor.finding import Finding
from trapmid.profiles import lockfile
from trapmid.tracking.address import VARIABLE, Address, AddressError, address
from trapmid.tracking.patience import within

SECONDS = 5.0
"""How long a server of MLflow's may take."""


def dvc(home: Path) -> Iterator[Finding]:
    """Whether DVC is there, its lock file whole, and its cache; `dvc status` says what is stale."""
    try:
        installed = version("dvc")
    except PackageNotFoundError:
        yield Finding("dvc", "not installed", "missing", "`make install`")
        return
    if not (home / ".dvc").is_dir() or not (home / "dvc.yaml").is_file():
        text = f"{installed}; no .dvc and dvc.yaml here"
        yield Finding("dvc", text, "missing", "run this at the root of a clone")
        return
    lock = home / "dvc.lock"
    if (broken := lockfile.problem(lock)) is not None:
        yield Finding("dvc", broken, "missing")
        return
    content = YAML(typ="safe").load(lock.read_text(encoding="utf-8")) if lock.exists() else {}
    recorded = f"dvc.lock knows {len(content.get('stages', {}))} stages"
    cache = _cache(home)
    there = "its cache is there" if cache.is_dir() else "its cache is empty"
    if content and not cache.is_dir():
        remedy = "`dvc pull` fetches results if there is a remote, `dvc repro` makes them"
        yield Finding("dvc", f"{installed}; {recorded}, {there}", "note", remedy)
    else:
        yield Finding("dvc", f"{installed}; {recorded if content else 'nothing ran yet'}, {there}")


def _cache(home: Path) -> Path:
    """The folder of DVC's cache: its own, or the one that its configuration names."""
    named = configparser.ConfigParser()
    named.read([home / ".dvc" / name for name in ("config", "config.local")], encoding="utf-8")
    place = named.get("cache", "dir", fallback="cache")
    return home / ".dvc" / place / "files"


def mlflow(home: Path) -> Iterator[Finding]:
    """Where runs are tracked, and whether that answers; a study runs without it, too."""
    try:
        place = address(home)
    except AddressError as error:
        yield Finding("mlflow", f"{VARIABLE}: {error}", "note", "or unset it")
        return
    if place.is_server:
        yield _server(place)
    elif place.sqlite_file is not None:
        yield _file(place.sqlite_file)
    else:
        yield Finding("mlflow", f"{place.shown}; not asked whether it answers")


def _server(place: Address) -> Finding:
    request = urllib.request.Request(f"{place.uri}/health")
    for name, value in place.headers().items():
        request.add_unredirected_header(name, value)
    try:
        within(SECONDS, partial(_read, request))
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        said = place.without_secret(str(error))
        remedy = "start it, or unset MLFLOW_TRACKING_URI; a study runs all the same"
        return Finding("mlflow", f"{place.shown}: no answer ({said})", "note", remedy)
    return Finding("mlflow", f"{place.shown} answers")


def _read(request: urllib.request.Request) -> bytes:
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        content: bytes = answer.read(64)
    return content


def _file(file: Path) -> Finding:
    if not file.exists():
        return Finding("mlflow", f"no runs yet; the first study makes {file.name}")
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as store:
            (count,) = store.execute("SELECT COUNT(*) FROM runs").fetchone()
    except sqlite3.Error as error:
        remedy = f"move it away (`mv {file.name} {file.name}.bad`); tracking makes it anew"
        return Finding("mlflow", f"{file.name}: {error}", "note", remedy)
    return Finding("mlflow", f"{file.name} has {count} runs; `trapmid ui` shows them")
