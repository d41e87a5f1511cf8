"""Stores that nobody answers for, servers of many kinds, and two trackings at once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from stores import collected, few

from trapmid.tracking import track as tracking
from trapmid.tracking.track import _locked, track

# MLflow 3 and SQLAlchemy 2.1 disagree about names that both will drop; nothing of ours is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its engine keeps the file open
]


@pytest.fixture
def warning(finished, tmp_path, monkeypatch, capfd, caplog):
    """The one line that tracking with an address prints, within the seconds."""

    def of(uri, seconds=4.0, home=tmp_path / "home"):
        if uri is not None:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        study = few(collected(finished))
        begun = time.monotonic()
        assert track(study, home) is None
        assert time.monotonic() - begun < seconds
        out, err = capfd.readouterr()
        assert out.startswith("track: warning: ") and out.count("\n") == 1
        assert "`python stages/track.py` fills the store" in out
        assert "hush" not in out + err + caplog.text
        assert not err
        return out

    return of


@contextmanager
def listening(answer):
    """The port of a service that does `answer(connection)` for everybody who comes."""
    end = threading.Event()
    with socket.socket() as service:
        service.bind(("127.0.0.1", 0))
        service.listen()
        service.settimeout(0.05)

        def serve():
            while not end.is_set():
                try:
                    connection, _ = service.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(1)
                    answer(connection, end)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield service.getsockname()[1]
        finally:
            end.set()
            thread.join()


def _silent(_, end):
    end.wait(20)


def _banner(connection, _):
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def _trickling(connection, end):
    """A byte every tenth of a second: no read of a socket ever takes long."""
    try:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b" " * 9000:
            connection.sendall(bytes([byte]))
            if end.wait(0.1):
                return
    except OSError:
        return


def test_nobody_answers(warning):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = warning(f"http://me:hush@127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port}: no MLflow server answers" in line


@pytest.mark.parametrize("answer", [_silent, _banner, _trickling])
def test_no_server_of_mlflow(warning, monkeypatch, answer):
    monkeypatch.setattr(tracking, "SECONDS", 1.0)
    monkeypatch.setattr(tracking, "_PROBE_SECONDS", 0.5)
    with listening(answer) as port:
        line = warning(f"http://me:hush@127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port}: no MLflow server answers" in line


@pytest.mark.parametrize(
    "uri", ["http://me:hush@host:port", "http://me:hush@my host", "http://me:hush", "sqlite:x"]
)
def test_what_is_no_address(warning, uri):
    assert warning(uri).startswith("track: warning: MLFLOW_TRACKING_URI: ")


@pytest.mark.parametrize("uri", ["htp://me:hush@host/", "file:mlruns"])
def test_a_store_that_mlflow_does_not_know(warning, uri):
    warning(uri, seconds=20)  # and MLflow is loaded


def _serves(*, status=200, slow=0.0, allowed=None):
    """A server that answers as MLflow's API does, where it is empty; /health is always well."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/health":
                self._send(200, {})
            elif allowed and self.headers.get("Authorization") != allowed:
                self._send(401, {"error_code": "PERMISSION_DENIED", "message": "who are you?"})
            elif status != 200:
                self._send(status, {"error_code": "PERMISSION_DENIED", "message": "Invalid Host"})
            else:
                time.sleep(slow)
                self._answer()

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def _answer(self):
            self.server.asked.append(self.path.partition("?")[0].rpartition("mlflow/")[2])
            if "experiments/get-by-name" in self.path:
                found = {"experiment_id": "7", "name": "trapmid", "lifecycle_stage": "active"}
                self._send(200, {"experiment": found})
            else:
                self._send(400, {"error_code": "BAD_REQUEST", "message": "no more is known"})

        def _send(self, code, content):
            text = json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    return Answers


@contextmanager
def server(**kind):
    with ThreadingHTTPServer(("127.0.0.1", 0), _serves(**kind)) as http:
        http.asked = []
        thread = threading.Thread(target=partial(http.serve_forever, poll_interval=0.05))
        thread.start()
        try:
            yield http
        finally:
            http.shutdown()
            thread.join()


def test_a_server_that_is_well_and_refuses(warning):
    """MLflow's own server does so for a host that it was not told of."""
    with server(status=403) as http:
        assert "Invalid Host" in warning(f"http://127.0.0.1:{http.server_port}", seconds=20)


def test_a_password_is_sent_and_never_shown(warning, monkeypatch):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "another")  # is given back when the test ends
    allowed = f"Basic {b64encode(b'me:hush@hush').decode()}"
    with server(allowed=allowed) as http:
        line = warning(f"http://me:hush%40hush@127.0.0.1:{http.server_port}/", seconds=20)
        assert "no more is known" in line
        assert "runs/search" in http.asked
        assert "who are you?" in warning(
            f"http://me:wrong@127.0.0.1:{http.server_port}", seconds=20
        )


def test_a_server_that_is_slow_at_every_call(warning, monkeypatch):
    monkeypatch.setattr("trapmid.tracking.patience.SECONDS", 0.5)
    monkeypatch.setattr("trapmid.tracking.patience._EASY_SECONDS", 0.1)
    with server(slow=1.0) as http:
        line = warning(f"http://127.0.0.1:{http.server_port}", seconds=20)
    assert "TimeoutError: no whole answer in 1 s" in line


def test_a_damaged_store(warning, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "mlflow.db").write_text("no database " * 100)
    assert "file is not a database: move it away (`mv '" in warning(None, seconds=20)
    (home / "mlflow.db").unlink()
    (home / "mlflow.db").mkdir()
    assert "no file: move it away" in warning(None)


@pytest.mark.slow
def test_a_first_tracking_that_is_killed_leaves_no_half_store(finished, tmp_path):
    """The process ends when the first table is there, as a kill would end it."""
    home = tmp_path / "home"
    script = (
        "import os, sys, sqlalchemy as s; from pathlib import Path\n"
        "from trapmid.tracking.client import open_database\n"
        "import mlflow.store.db.utils as utils\n"
        "utils._upgrade_db = lambda engine: os._exit(9)\n"
        "open_database(Path(sys.argv[1]))\n"
    )
    home.mkdir()
    killed = subprocess.run([sys.executable, "-c", script, str(home / "mlflow.db")], check=False)
    assert killed.returncode == 9
    (left,) = home.iterdir()
    assert left.name.startswith("mlflow.db.new-")
    assert track(few(collected(finished)), home) == (5, 0)
    assert sorted(path.name for path in home.iterdir()) == [
        *(".mlflow.lock", "mlartifacts", "mlflow.db")
    ]


def test_the_lock_lets_one_in_at_a_time(tmp_path):
    order = []

    def second():
        with _locked(tmp_path, 60):
            order.append("second")

    with _locked(tmp_path, 60):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_another_holds(warning, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "_TURN_SECONDS", 0.3)
    home = tmp_path / "home"
    with _locked(home, 60):
        assert "another tracking has held .mlflow.lock for 0 s" in warning(None, home=home)


def test_another_tracking_is_waited_for_longer_than_a_server(finished, tmp_path, monkeypatch):
    """It may have hundreds of runs to make; an experiment that does not wait is never shown."""
    monkeypatch.setattr(tracking, "SECONDS", 0.1)
    home, done = tmp_path / "home", []
    second = threading.Thread(target=lambda: done.append(track(few(collected(finished)), home)))
    with _locked(home, 60):
        second.start()
        time.sleep(1)
    second.join()
    assert done == [(5, 0)]
