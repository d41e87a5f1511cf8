"""How long the metrics of one attack take at the paper's size, once features exist.

    python benchmarks/fidelity.py [--threads 2]

5,000 reconstructions, 27,000 private and 30,000 public images of 512 random features, 1,000 people.
CPU seconds are what a busy machine does not change much; with more threads than idle cores they
count waiting, too. KID is apart: its cost is that of all pairs of private images.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import torch

from trapmid.metrics import kid, knn, neighbours, prdc

MADE, PRIVATE, PUBLIC, FEATURES, PEOPLE, NEIGHBOURS = 5_000, 27_000, 30_000, 512, 1_000, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    for name, run in parts().items():
        cpu, wall = time.process_time(), time.perf_counter()
        run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(f"{name:20} {cpu:6.1f} CPU s {wall:6.1f} s", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


def parts() -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    generator = torch.Generator().manual_seed(0)
    made, private, public = (
        torch.randn(n, FEATURES, generator=generator) for n in (MADE, PRIVATE, PUBLIC)
    )
    labels, people = torch.arange(MADE) % PEOPLE, torch.arange(PRIVATE) % PEOPLE
    return {
        "KNN distance": lambda: knn.nearest_squared(made, labels, private, people),
        "precision, ...": lambda: prdc.prdc(private, made, NEIGHBOURS),
        "the same per class": lambda: prdc.ppa_per_class(private, people, made, labels, NEIGHBOURS),
        "nearest private": lambda: neighbours.nearest_private(made, private, public),
        "covered": lambda: neighbours.covered(made, labels, private, people),
        "KID": lambda: kid.kid(made, private),
    }


if __name__ == "__main__":
    main()
