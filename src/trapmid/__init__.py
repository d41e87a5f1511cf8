"""A reproducible lab for model-inversion attacks and Trap-MID's trapdoor defence."""

import os

# OpenMP's threads spin while they wait for each other. Where another program has one of their cores
# they spin for a thread that cannot run: two threads on two cores, one of them busy, were measured
# up to 25 times slower. Sleeping costs an idle machine some speed and a busy one nearly nothing. It
# counts only if it is said before torch is loaded; a policy of the user's own stays.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
