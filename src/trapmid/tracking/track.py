"""Makes MLflow show a study.

MLflow is a view that can be rebuilt: every number and picture comes from a file that a stage left,
and a study is found again by a key made of its content. So a stage that DVC restored from its
cache still shows, tracking twice adds nothing, and a deleted store comes back whole. A run belongs
to one study: a row that two studies share has a run under each parent, which holds all its rows.

Nothing here may stop a study: a store that cannot be reached costs seconds and one line.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from trapmid.tracking.records import Study
from trapmid.tracking.store import Store, Tracked

_PROBE_SECONDS = 2.0


def store_uri(home: Path) -> str:
    """The address of the store: the environment's, or a database in the folder `home`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home.resolve()}/mlflow.db"


def track(study: Study, home: Path) -> Tracked | None:
    """Makes MLflow show the study: new runs once, known ones by reuse.

    Args:
        study: from `records.collect`.
        home: the folder of the default store, mlflow.db and mlartifacts/, and of the lock.
            `MLFLOW_TRACKING_URI` names another store.

    Returns:
        What was done, or None where the store could not be used; a warning was printed then.
    """
    uri = store_uri(home)
    problem = _probe(uri)
    if problem is None:
        try:
            with _locked(home):
                return Store(uri, home).track(study)
        except Exception as error:
            # Whatever a store throws (MLflow's, SQLAlchemy's, the network's and the disk's errors
            # share no base), the results are in files and the study must go on.
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    print(
        f"track: warning: {uri}: {problem}; nothing is lost, "
        "`python stages/track.py` fills the store when it is back"
    )
    return None


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
    with FileLock(home / ".mlflow.lock"):
        yield
