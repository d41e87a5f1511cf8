"""Addresses of stores: what MLflow gets, what people see."""

from __future__ import annotations

import os
from base64 import b64decode
from pathlib import Path

import pytest

from trapmid.tracking.address import AddressError, address, sqlite_uri

SECRET = "hush%2Fhush%40"  # hush/hush@ as an address writes it


@pytest.fixture
def of(monkeypatch, tmp_path):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)

    def parse(text):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", text)
        return address(tmp_path)

    return parse


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_blank_is_the_default(of, tmp_path, text):
    assert of(text).sqlite_file == tmp_path / "mlflow.db"


@pytest.mark.parametrize("text", ["sqlite:///mlflow.db", "sqlite:///sub/my.db"])
def test_a_relative_file_lies_where_the_project_does(of, tmp_path, text):
    """An experiment in a folder that is thrown away would lose its runs."""
    assert of(text).sqlite_file == tmp_path / text.removeprefix("sqlite:///")


def test_a_server_with_a_password(of):
    place = of(f" HTTP://me:{SECRET}@host.lan:5000/mlflow/\n")
    assert place.uri == place.shown == "http://host.lan:5000/mlflow"
    assert place.environment == {
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": "hush/hush@",
    }
    kind, _, coded = place.headers()["Authorization"].partition(" ")
    assert (kind, b64decode(coded)) == ("Basic", b"me:hush/hush@")
    assert "hush" not in repr(place)
    assert place.without_secret(f"a hush/hush@\nb {SECRET}") == "a *** b ***"


def test_a_server_without_one(of, monkeypatch):
    assert of("https://host").headers() == {}
    assert of("https://host").environment == {}
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    assert of("https://host").headers() == {"Authorization": "Bearer token"}


def test_a_database_with_a_password(of):
    text = f"postgresql://me:{SECRET}@host/db?sslpassword=x"
    place = of(text)
    assert place.uri == text and place.shown == "postgresql://host/db"
    assert not place.is_server and place.sqlite_file is None
    assert "hush" not in repr(place) + place.without_secret(f"cannot open {text}: hush/hush@")


@pytest.mark.parametrize(
    "text",
    [
        *("http://me:hush", "http://me:hush@host:port", "http://host:99999", "http://"),
        *("http://my host", "http://me:hu/sh@host", "http://me:hu#sh@host", "http://me:hu?sh@host"),
        *("http://[hush", "sqlite:hush", "sqlite://hush/mlflow.db"),
    ],
)
def test_what_is_no_address_is_one_line_without_it(of, text):
    with pytest.raises(AddressError) as caught:
        of(text)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value) and "sh@" not in str(caught.value)


@pytest.mark.parametrize("name", ["plain", "a space", "what?", "100%20", "häuser"])
def test_a_file_is_found_again_under_any_name(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(Path("mlflow.db")))
    found = address(folder).sqlite_file
    assert os.path.abspath(found) == str(folder / "mlflow.db")


def test_a_database_in_memory_is_no_file(of):
    assert of("sqlite:///:memory:").sqlite_file is None
