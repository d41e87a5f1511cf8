#!/usr/bin/env bash
# distributed 2026.8.0 runs a task again after its worker was lost, although retries=0 was asked for.
#
# Valid input: a task submitted with retries=0 that notes each start in a file; at its first start the
# worker process is killed, as a machine or the kernel's memory guard would. Seen: the task starts a
# second time on another worker and its result arrives as if nothing had happened. `retries` counts
# exceptions alone; lost workers are counted by the setting `distributed.scheduler.allowed-failures`,
# 3 by default, and with 0 the future ends in KilledWorker after one start. For a training of hours,
# or one that writes into a folder, that is a second run which nobody asked for.
#
# Ends with 0 while that is so, with 1 once distributed behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check distributed==2026.8.0 dask==2026.8.0
unset PYTHONPATH

cat > look.py << 'EOF'
import logging
import os
import pathlib
import signal
import sys

import dask
from distributed import Client, KilledWorker, LocalCluster


def work(note):
    with open(note, "a") as stream:
        stream.write("started\n")
    if len(pathlib.Path(note).read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)  # the machine is gone
    return "done"


def starts(name, allowed):
    note = pathlib.Path(name).resolve()
    dask.config.set({"distributed.scheduler.allowed-failures": allowed})
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        try:
            result = client.submit(work, str(note), retries=0, pure=False).result(timeout=120)
        except KilledWorker:
            result = "KilledWorker"
    return len(note.read_text().splitlines()), result


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    default = dask.config.get("distributed.scheduler.allowed-failures")
    seen = starts("as_shipped.txt", default)
    strict = starts("none_allowed.txt", 0)
    print(f"retries=0, allowed-failures {default}: {seen[0]} starts, {seen[1]}")
    print(f"retries=0, allowed-failures 0: {strict[0]} start, {strict[1]}")
    sys.exit((seen, strict) != ((2, "done"), (1, "KilledWorker")))
EOF
env/bin/python look.py
