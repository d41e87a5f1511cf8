"""`trapmid ui`: the link, a port that is taken, and a server that starts and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

import fake_study
from trapmid import cli, ui
from trapmid.tracking.address import Address
from trapmid.tracking.records import collect
from trapmid.tracking.store import EXPERIMENT
from trapmid.tracking.track import track

STUDY = "params.Study = 'gamer-puck' and tags.stage = 'attack'"


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """An empty folder with a space in its path, and no browser."""
    home = tmp_path / "my project"
    home.mkdir()
    monkeypatch.chdir(home)
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def server():
    """Answers as MLflow's interface does: one experiment, whose newest study is gamer-puck."""
    asked, allowed = [], []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(parse_qs(urlsplit(self.path).query))
            self._send({"experiment": {"experiment_id": "7"}})

        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._send({"runs": [{"info": {"run_name": "gamer-puck"}}]})

        def _send(self, content):
            allowed.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as http:
        http.asked, http.allowed = asked, allowed
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def place(server):
    return Address(uri=address(server), shown=address(server))


def address(server):
    return f"http://127.0.0.1:{server.server_port}"


def view(link):
    """The page of the link, and what it is asked to show."""
    page, _, query = link.partition("?")
    return page, {name: value for name, (value,) in parse_qs(query).items()}


def test_the_link_is_the_chart_page_of_the_newest_attacks(server):
    page, shown = view(ui.link(place(server)))
    assert page == f"{address(server)}/#/experiments/7/runs"
    assert shown == {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "searchFilter": STUDY,
        "orderByKey": "metrics.`Main/aa1`",
        "orderByAsc": "false",
    }
    assert server.asked[0] == {"experiment_name": [EXPERIMENT]}
    assert server.asked[1]["order_by"] == ["attributes.end_time DESC"]


def test_a_server_of_the_environment_is_named_and_not_started(server, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{address(server)}/")
    assert cli.main(["ui"]) == 0
    assert f"The runs:  {address(server)}/#/experiments/7/runs?" in capsys.readouterr().out
    assert not opened  # no screen
    monkeypatch.setenv("DISPLAY", ":0")
    assert cli.main(["ui", "--no-browser"]) == 0
    assert not opened
    assert cli.main(["ui"]) == 0
    assert opened == [ui.link(place(server))]


def test_the_own_server_is_asked_past_every_proxy(server, monkeypatch, tmp_path, capsys):
    """A proxy of a company's network cannot reach this machine's own addresses."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(ui, "_START_SECONDS", 2)
    ui._wait(SimpleNamespace(poll=lambda: None), address(server), tmp_path / "log")
    assert capsys.readouterr().out == "MLflow starts ...\n"


def test_a_browser_that_fails_is_no_matter(server, monkeypatch, capsys):
    def fail(_):
        raise OSError("no such browser")

    monkeypatch.setattr("webbrowser.open", fail)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address(server))
    assert cli.main(["ui"]) == 0
    assert "The runs:" in capsys.readouterr().out


def _expect_one_line(words, capsys, message):
    begun = time.monotonic()
    assert cli.main(words) == 2
    assert time.monotonic() - begun < 5
    error = capsys.readouterr().err
    assert error.startswith("trapmid ui: error: ") and message in error
    assert error.count("\n") == 1


def test_a_taken_port_is_one_line(nowhere, capsys):
    (nowhere / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = f"port {port}: Address already in use; try `make ui PORT="
        _expect_one_line(["ui", "--port", str(port)], capsys, message)
    assert not (nowhere / ".scratch").exists()  # nothing was started


def test_no_store_and_no_server_are_one_line(capsys, monkeypatch):
    _expect_one_line(["ui"], capsys, "no runs yet (mlflow.db): `make repro` makes them")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    _expect_one_line(["ui"], capsys, "http://127.0.0.1:9: no MLflow server answers")


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "5_000"])
def test_a_port_that_is_none(port, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["ui", f"--port={port}"])
    assert end.value.code == 2
    assert f"{port!r} is no port: 1 to 65535" in capsys.readouterr().err


def test_what_is_wrong_with_the_store_is_one_line(nowhere, capsys, monkeypatch):
    (nowhere / "mlflow.db").write_text("no database " * 100)
    message = "file is not a database: move it away (`mv "
    _expect_one_line(["ui", "--port", str(_free())], capsys, message)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush@host:port")
    _expect_one_line(["ui"], capsys, "MLFLOW_TRACKING_URI: its host or its port is none")


def test_a_password_is_sent_and_not_shown(server, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:hush@127.0.0.1:{server.server_port}")
    assert cli.main(["ui"]) == 0
    assert [kind.partition(" ")[0] for kind in server.allowed] == ["Basic", "Basic"]
    assert "hush" not in capsys.readouterr().out


def test_a_server_that_does_not_start(nowhere, capsys, monkeypatch):
    (nowhere / "mlflow.db").touch()
    monkeypatch.setattr(ui, "prepare", lambda *_: None)
    monkeypatch.setattr(ui.sys, "executable", "/bin/false")
    assert cli.main(["ui", "--port", str(_free())]) == 2
    assert "the server did not start: see .scratch/mlflow.log" in capsys.readouterr().err


def test_the_pictures_of_a_shared_database_are_those_beside_it(nowhere, tmp_path, monkeypatch):
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "mlflow.db").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{lab}/mlflow.db")
    monkeypatch.setattr(ui, "prepare", lambda *_: None)
    monkeypatch.setattr(ui.sys, "executable", "/bin/echo")
    assert cli.main(["ui", "--port", str(_free())]) == 2
    said = (nowhere / ".scratch/mlflow.log").read_text()
    assert f"--artifacts-destination {(lab / 'mlartifacts').as_uri()}\n" in said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_server_shows_pictures_of_a_moved_project_and_ends_whole(nowhere, tmp_path):
    fake_study.write(nowhere, seeds=(0,))
    fake_study.write_json(nowhere / "reports" / "metrics.json", {})
    study = collect(fake_study.params(seeds=(0,)), nowhere)
    attack_runs = [record for record in study.records if record.name == "attack/gmi-none-0"]
    assert track(replace(study, records=tuple(attack_runs)), nowhere) == (2, 0)
    moved = nowhere.rename(tmp_path / "moved to what? 100%20 sure")
    port = _free()
    words = [sys.executable, "-m", "trapmid.cli", "ui", "--port", str(port)]
    with subprocess.Popen(words, cwd=moved, stdout=subprocess.PIPE, text=True) as shown:
        try:
            assert shown.stdout.readline().startswith("MLflow starts")
            page, asked = view(shown.stdout.readline().removeprefix("The runs:").strip())
            assert page.startswith(f"http://127.0.0.1:{port}/#/experiments/")
            assert asked["searchFilter"] == STUDY.replace("gamer-puck", study.name)
            uri = f"http://127.0.0.1:{port}"
            found = ui._ask(
                Address(uri=uri, shown=uri),
                "runs/search",
                {"experiment_ids": [page.split("/")[-2]], "filter": asked["searchFilter"]},
            )
            (run,) = found["runs"]
            picture = f"path=pictures/gmi-none-0.png&run_uuid={run['info']['run_id']}"
            url = f"http://127.0.0.1:{port}/get-artifact?{picture}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                sent = answer.read()
            assert sent == (moved / "reports/figures/attack_runs/gmi-none-0.png").read_bytes()
        finally:
            os.kill(shown.pid, signal.SIGTERM)
        assert shown.wait(30) == 0
    ui._check_free(port)


def _free():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
