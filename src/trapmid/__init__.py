"""A reproducible lab for model-inversion attacks and Trap-MID's trapdoor defence."""

import ctypes
import os
import sys

# OpenMP's threads spin while they wait for each other. Where another program has one of their
# cores, they spin for a thread that cannot run: an epoch of 1.0 s on two idle cores took 3 to 25 s
# with one of them busy. After 2,000 turns they sleep: 1.4 s idle, 2.5 s busy. (Sleeping at once:
# 1.5 and 1.9.) It counts only if it is said before torch is loaded. A user's own choice stays.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = "2000"


def _keep_freed_memory() -> None:
    """Large tensors come from memory that the process already has.

    glibc asks the system for every block above its threshold (32 MB at most) and gives it back when
    it is freed, so a batch's feature maps are zeroed by the kernel at every step: 12 to 17 % of the
    time of an inversion. A user's own choice stays, and so does another C library.
    """
    chosen = any(
        n.startswith("MALLOC_") or n in ("GLIBC_TUNABLES", "LD_PRELOAD") for n in os.environ
    )
    if chosen or not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        # Of malloc.h. Both or none: each alone stops glibc's own rule, and `trim` alone doubles the
        # time of a training step.
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)


_keep_freed_memory()
