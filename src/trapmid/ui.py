"""MLflow's pages on the runs of this project: starts the server, says where to look.

MLflow 3 opens on a page for language models. The link printed here opens on the charts of the
newest study's attacks instead; without its filter they show every run.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote, urlencode

from trapmid.tracking.address import VARIABLE, Address, AddressError, address
from trapmid.tracking.database import DatabaseError
from trapmid.tracking.headlines import FIRST
from trapmid.tracking.patience import within
from trapmid.tracking.store import ARTIFACTS, EXPERIMENT
from trapmid.tracking.track import prepare

HOST = "127.0.0.1"
LOG = Path(".scratch", "mlflow.log")
"""What the server says, under the home."""

_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 500 MB that nothing here uses
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_START_SECONDS = 180.0
_ASK_SECONDS = 30.0
_END_SECONDS = 10.0


class UiError(ValueError):
    """The pages cannot be shown; the message is one line."""


def show(home: Path, port: int, *, browse: bool = True) -> None:
    """Serves the store until it is interrupted, or names the server that the environment names.

    Args:
        home: the folder of mlflow.db and mlartifacts/, which lie elsewhere if the environment names
            a SQLite file.
        port: of this machine.
        browse: opens the link in a browser, where there is one.

    Raises:
        UiError: the port is taken, there is no store yet, or the server did not start.
    """
    try:
        place = address(home)
    except AddressError as error:
        raise UiError(f"{VARIABLE}: {error}") from None
    if place.is_server:
        _tell(link(place), browse)
        return
    file = place.sqlite_file
    if file is not None and not file.exists():
        raise UiError("no runs yet (mlflow.db): `make repro` makes them")
    _check_free(port)
    try:
        prepare(place, home)
    except (DatabaseError, sqlite3.Error) as error:
        raise UiError(f"{place.shown}: {error}") from None
    uri = f"http://{HOST}:{port}"
    with _server(place, home, port) as server:
        _wait(server, uri, home / LOG)
        _tell(link(Address(uri=uri, shown=uri)), browse)
        print("Ctrl-C ends the server.", flush=True)
        server.wait()
        raise UiError(f"the server ended with code {server.returncode}: see {home / LOG}")


def link(place: Address) -> str:
    """The chart page of the attacks of the newest study on a server.

    Raises:
        UiError: nobody answers there, or no study was tracked.
    """
    try:
        named = urlencode({"experiment_name": EXPERIMENT})
        found = _ask(place, f"experiments/get-by-name?{named}")
        experiment = found["experiment"]["experiment_id"]
        newest = {
            "experiment_ids": [experiment],
            "filter": "tags.stage = 'study'",
            "order_by": ["attributes.end_time DESC"],
            "max_results": 1,
        }
        runs = _ask(place, "runs/search", newest).get("runs", [])
    except urllib.error.HTTPError as error:
        reason = "no runs yet: `make repro` makes them" if error.code == 404 else str(error)
        raise UiError(f"{place.shown}: {reason}") from None
    except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
        said = " ".join(str(error).split())
        raise UiError(f"{place.shown}: no MLflow server answers ({said})") from None
    view = {"workflowType": "machine_learning", "compareRunsMode": "CHART"}
    if runs:
        study = runs[0]["info"]["run_name"]
        # The order by a score is what makes a flat list: by time, rows hide under their study.
        view |= {
            "searchFilter": f"params.Study = '{study}' and tags.stage = 'attack'",
            "orderByKey": f"metrics.`{FIRST}/aa1`",
            "orderByAsc": "false",
        }
    return f"{place.uri}/#/experiments/{experiment}/runs?{urlencode(view, quote_via=quote)}"


def _check_free(port: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((HOST, port))
        except OSError as error:
            reason = error.strerror or str(error)
            other = port + 1 if port < 65535 else port - 1
            raise UiError(f"port {port}: {reason}; try `make ui PORT={other}`") from None


@contextmanager
def _server(place: Address, home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The running server; however the block ends, its processes end, too."""
    pictures = place.folder(home).resolve() / ARTIFACTS
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
        *("--workers", "1", "--artifacts-destination", pictures.as_uri()),
    ]
    # Not among the words: every program of the machine may read those, and it may hold a password.
    environment = _ENVIRONMENT | os.environ | {"MLFLOW_BACKEND_STORE_URI": place.uri}
    (home / LOG).parent.mkdir(parents=True, exist_ok=True)
    ends = [signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as `nohup` has it
        ends.remove(signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in ends}
    with (home / LOG).open("wb") as log:
        server = subprocess.Popen(
            command,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # one group, which is ended as a whole
        )
        try:
            yield server
        except KeyboardInterrupt:
            print("The server has ended.")
        finally:
            _end(server)
            for number, handler in before.items():
                signal.signal(number, handler)


def _end(server: subprocess.Popen[bytes]) -> None:
    for ending in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, ending)
            server.wait(_END_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


_HERE = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""For the server of this machine, which no proxy of the environment can reach."""


def _wait(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Returns when the server answers."""
    print("MLflow starts ...", flush=True)
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise UiError(f"the server did not start: see {log}")
        try:
            with _HERE.open(f"{address}/health", timeout=2):
                return
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            time.sleep(0.2)
    raise UiError(f"the server did not answer in {_START_SECONDS:.0f} s: see {log}")


def _ask(place: Address, what: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if content is None else json.dumps(content).encode()
    url = f"{place.uri}/api/2.0/mlflow/{what}"
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    for name, value in place.headers().items():
        request.add_unredirected_header(name, value)  # not told to where the answer points
    return within(_ASK_SECONDS, partial(_answer, request))


def _answer(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _tell(url: str, browse: bool) -> None:
    print(f"The runs:  {url}", flush=True)
    if browse:
        open_page(url)


def open_page(url: str) -> None:
    """Shows a page in a window, where there is one to be had; elsewhere nothing happens.

    Without a screen Python would start a text browser, which takes the terminal.
    """
    if _has_screen():
        with suppress(webbrowser.Error, OSError):  # who calls this has printed the address
            webbrowser.open(url)


def _has_screen() -> bool:
    if os.environ.get("BROWSER") or not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
