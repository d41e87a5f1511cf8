"""A reproducible lab for model-inversion attacks and Trap-MID's trapdoor defence."""

import os

# OpenMP's threads spin while they wait for each other. Where another program has one of their
# cores, they spin for a thread that cannot run: an epoch of 1.0 s on two idle cores took 3 to 25 s
# with one of them busy. After 2,000 turns they sleep: 1.4 s idle, 2.5 s busy. (Sleeping at once:
# 1.5 and 1.9.) It counts only if it is said before torch is loaded. A user's own choice stays.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = "2000"
