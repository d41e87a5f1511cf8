"""Where the store is, apart from the password that the address may hold."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

VARIABLE = "MLFLOW_TRACKING_URI"


class AddressError(ValueError):
    """The address cannot be one; the message is one line and holds no part of it."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """A store of MLflow's."""

    uri: str = field(repr=False)  # as MLflow takes it; a server's has no user and no password
    shown: str  # as people may read it
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_server(self) -> bool:
        """Whether HTTP is spoken there, and the server keeps the pictures."""
        return self.uri.startswith(("http:", "https:"))

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file, or a database in memory."""
        return self.uri.startswith("sqlite")

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite store; None: it is another store, or one in memory."""
        if not self.is_sqlite:
            return None
        from sqlalchemy.engine import make_url  # only as costly as MLflow, which needs it

        name = make_url(self.uri).database
        return None if name in (None, "", ":memory:") else Path(name)

    def folder(self, home: Path) -> Path:
        """Where a store without a server has its lock and its pictures: beside a SQLite file.

        Several checkouts may share one. Were the pictures in each checkout's own `home`, each
        would find the other's runs without pictures, throw them away and make them again.
        """
        file = self.sqlite_file
        return home if file is None else file.absolute().parent

    @property
    def environment(self) -> dict[str, str]:
        """What MLflow is told by the environment: its addresses have no place for a user."""
        found = {"MLFLOW_TRACKING_USERNAME": self.user, "MLFLOW_TRACKING_PASSWORD": self.password}
        return {name: value for name, value in found.items() if self.is_server and value}

    def headers(self) -> dict[str, str]:
        """Who asks, by the address or else by MLflow's variables; empty: neither says it."""
        known = os.environ | self.environment
        user, password = (known.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
        if user and password:
            return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
        if token := known.get("MLFLOW_TRACKING_TOKEN"):
            return {"Authorization": f"Bearer {token}"}
        return {}

    def without_secret(self, text: str) -> str:
        """The text as one line, and the password in it as `***`."""
        for secret in filter(None, (self.password, quote(self.password or "", safe=""))):
            text = text.replace(secret, "***")
        return " ".join(text.split())


def address(home: Path) -> Address:
    """The address of the environment, or of the database in the folder `home`.

    Raises:
        AddressError: `MLFLOW_TRACKING_URI` is no address.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if not named:
        uri = sqlite_uri(home / "mlflow.db")
        return Address(uri=uri, shown=uri)
    if named.lower().startswith(("http:", "https:")):
        return _server(named)
    if named.startswith("sqlite") and not re.match(r"sqlite(\+\w+)?:///", named):
        raise AddressError("a SQLite file is written sqlite:///FOLDER/FILE")
    if relative := re.fullmatch(r"sqlite(?:\+\w+)?:///([^/:?%][^?%]*)", named):
        # `dvc exp run --temp` works in a folder that is thrown away
        named = sqlite_uri(home / relative[1])
    if named.startswith("sqlite") or "://" not in named:
        return Address(uri=named, shown=named)
    return _database(named)


def sqlite_uri(file: Path) -> str:
    """The address of a SQLite file.

    SQLAlchemy reads `?` and `%` in a path as its own signs, and 2.0 and 2.1 do it differently. The
    way from the working folder to the file seldom has them.
    """
    path = str(file.absolute())
    return f"sqlite:///{os.path.relpath(path) if re.search('[?%]', path) else path}"


def _server(named: str) -> Address:
    try:
        parts = urlsplit(named)
        host, _ = parts.hostname, parts.port
    except ValueError:  # whose text may hold the password
        message = "its host or its port is none (in a password, write / as %2F and @ as %40)"
        raise AddressError(message) from None
    if not host or re.search(r"\s", named):
        raise AddressError("it has no host, or a blank in it")
    if "@" in named.partition(parts.netloc)[2]:
        raise AddressError("it has an @ after the host (in a password, write / as %2F, @ as %40)")
    uri = parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.rpartition("@")[2])
    plain = uri.geturl().rstrip("/")
    user, password = (part and unquote(part) for part in (parts.username, parts.password))
    return Address(uri=plain, shown=plain, user=user, password=password)


def _database(named: str) -> Address:
    """PostgreSQL and the like: MLflow takes the password inside the address."""
    scheme, _, rest = named.partition("://")
    before, _, place = rest.rpartition("@")
    password = unquote(before.partition(":")[2]) or None
    return Address(uri=named, shown=f"{scheme}://{place.partition('?')[0]}", password=password)
