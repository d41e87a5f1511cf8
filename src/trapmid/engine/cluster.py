"""Executors beyond this process: Dask's scheduler at an address, and Slurm by dask-jobqueue.

Workers see the study's folder under the same path, and this project is installed there. They need
no DVC of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

_MISSING = "the engine Dask is not installed: pip install --editable '.[scale]'"
_PATIENCE = 10  # seconds until a scheduler answers


class Engine(NamedTuple):
    """An executor, and how many commands it runs at a time now."""

    executor: Executor
    slots: Callable[[], int]
    link: str  # of a dashboard; empty: there is none


@contextmanager
def at(address: str, resources: Mapping[str, float]) -> Iterator[Engine]:
    """The workers of the Dask scheduler at `address`.

    Raises:
        ValueError: Dask is not installed, nobody answers, or no worker has the resources.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(_MISSING) from None
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ValueError(f"--scheduler {address}: no answer ({_short(error)})") from None
    with client:
        yield _engine(client, resources)


@contextmanager
def slurm(file: Path, resources: Mapping[str, float]) -> Iterator[Engine]:
    """Workers that Slurm starts, `jobs` of them, as `file` says.

    Args:
        file: YAML with the keys of `dask_jobqueue.SLURMCluster` (queue, cores, memory, walltime,
            job_extra_directives, ...) and `jobs`.
        resources: what every worker must have, see `worker_extra_args` there.

    Raises:
        ValueError: dask-jobqueue is not installed, or a key is wrong.
    """
    try:
        import dask
        from dask_jobqueue import SLURMCluster
        from distributed import Client
    except ImportError:
        raise ValueError(_MISSING) from None
    options = _options(file)
    jobs = options.pop("jobs", 1)
    if not isinstance(jobs, int) or jobs < 1:
        raise ValueError(f"{file}: jobs: must be 1 or more, is {jobs!r}")
    dask.config.set({"distributed.scheduler.allowed-failures": 1})  # a lost row: once again
    try:
        cluster = SLURMCluster(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: {_short(error)}") from None
    with cluster, Client(cluster) as client:
        cluster.scale(jobs=jobs)
        yield _engine(client, resources)


def _options(file: Path) -> dict[str, Any]:
    try:
        options = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from None
    except YAMLError as error:
        raise ValueError(f"{file}: cannot be read ({_short(error)})") from None
    if not isinstance(options, dict):
        raise ValueError(f"{file}: must be keys and values: queue, cores, memory, jobs, ...")
    return options


def _engine(client: Any, resources: Mapping[str, float]) -> Engine:
    executor = client.get_executor(pure=False, retries=0, resources=dict(resources) or None)

    def slots() -> int:
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        free = [_slots(worker, resources) for worker in workers]
        if free and not any(free):
            wanted = ", ".join(f"{name}={amount:g}" for name, amount in resources.items())
            raise ValueError(f"--resource {wanted}: none of {len(free)} workers has it")
        return sum(free)

    return Engine(executor, slots, client.dashboard_link or "")


def _slots(worker: Mapping[str, Any], resources: Mapping[str, float]) -> int:
    """How many commands one worker runs at a time."""
    has = worker.get("resources") or {}
    shares = [int(has.get(name, 0) // amount) for name, amount in resources.items()]
    return min([int(worker["nthreads"]), *shares])


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
