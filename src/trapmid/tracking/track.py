"""Makes MLflow show a study.

MLflow is a view that can be rebuilt: every number and picture comes from a file that a stage left,
and a study is found again by a key made of its content. So a stage that DVC restored from its
cache still shows, tracking twice adds nothing, and a deleted store comes back whole. A run belongs
to one study: a row that two studies share has a run under each parent, which holds all its rows.

Nothing here may stop a study: a store that cannot be reached costs seconds and one line. Another
tracking of the same project is waited for.
"""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from trapmid.tracking.address import VARIABLE, Address, AddressError, address
from trapmid.tracking.client import open_database
from trapmid.tracking.database import DatabaseError
from trapmid.tracking.patience import SECONDS, within
from trapmid.tracking.records import Study
from trapmid.tracking.store import EXPERIMENT, Store, Tracked

_PROBE_SECONDS = 2.0
_TURN_SECONDS = 600.0  # for another tracking, which works or has ended: its lock goes with it
_BUSY = "another tracking has held .mlflow.lock for {:.0f} s"
_LENGTH = 300  # of a problem, in characters


def track(study: Study, home: Path) -> Tracked | None:
    """Makes MLflow show the study: new runs once, known ones by reuse.

    Args:
        study: from `records.collect`.
        home: the folder of the default store, mlflow.db and mlartifacts/, and of the lock.
            `MLFLOW_TRACKING_URI` names another store.

    Returns:
        What was done, or None where the store could not be used; a warning was printed then,
        which holds no password.
    """
    try:
        place = address(home)
    except AddressError as error:
        _warn(VARIABLE, str(error))
        return None
    problem = _probe(place)
    if problem is None:
        try:
            with _locked(place.folder(home), _TURN_SECONDS):
                _prepare(place)
                return Store(place, home).track(study)
        except Timeout:
            problem = _BUSY.format(_TURN_SECONDS)
        except ValueError as error:
            problem = str(error)
        except Exception as error:
            # Whatever a store throws (MLflow's, SQLAlchemy's, the network's and the disk's errors
            # share no base), the results are in files and the study must go on.
            problem = f"{type(error).__name__}: {error}"
    _warn(place.shown, place.without_secret(problem)[:_LENGTH])
    return None


def prepare(place: Address, home: Path) -> None:
    """Makes the file of a local store, or brings it up to date; nothing for any other.

    Raises:
        DatabaseError: the file cannot be used, or another tracking is at work in `home`.
    """
    try:
        with _locked(place.folder(home), SECONDS):
            _prepare(place)
    except Timeout:
        raise DatabaseError(_BUSY.format(SECONDS)) from None


def _prepare(place: Address) -> None:
    file = place.sqlite_file
    if file is not None:
        open_database(file)


def _warn(place: str, problem: str) -> None:
    print(
        f"track: warning: {place}: {problem}; nothing is lost, "
        "`python stages/track.py` fills the store when it is back"
    )


def _probe(place: Address) -> str | None:
    """What is wrong with a server, found in seconds; None: it answers, or it is no server.

    It is asked what MLflow asks, since `/health` is well where the API refuses. An answer that
    refuses is left to MLflow, which knows more ways to say who it is.
    """
    if not place.is_server:
        return None
    url = f"{place.uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name={EXPERIMENT}"
    request = urllib.request.Request(url)
    for name, value in place.headers().items():
        request.add_unredirected_header(name, value)  # not told to where the answer points
    try:
        within(SECONDS, partial(_read, request))
    except urllib.error.HTTPError as answer:
        answer.close()
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return None if isinstance(reason, ssl.SSLError) else f"no MLflow server answers ({reason})"
    return None


def _read(request: urllib.request.Request) -> None:
    with urllib.request.urlopen(request, timeout=_PROBE_SECONDS) as answer:
        answer.read()


@contextmanager
def _locked(home: Path, seconds: float) -> Iterator[None]:
    """One tracking at a time: two would both make the runs that are missing.

    Experiments that run beside each other end together, and the folder of each is thrown away: one
    that does not wait for the other's hundreds of runs is never shown.

    Raises:
        Timeout: another one takes longer.
    """
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".mlflow.lock", timeout=seconds):
        yield
