#!/usr/bin/env bash
# prdc 0.2 scores a set of images against itself with 0 where every image is there more than k times.
#
# Valid input: features (300, 16) of real images, whole numbers so that no distance is rounded, and the
# same features as the generated ones. Without duplicates precision, recall, density and coverage are
# 1, as expected. Seen: with each row six times and nearest_k=5 all four are 0. The radius of an image
# is then the distance to its own copy, 0, and the comparison is `<`, so nothing is inside any ball.
# With nearest_k=6 they are 1 again. CelebA has pictures that are equal byte by byte, and an attack
# that collapsed repeats one image per person: what is covered perfectly then counts as not covered.
#
# Ends with 0 while that is so, with 1 once prdc behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check prdc==0.2 numpy==2.4.6 scikit-learn==1.9.1
unset PYTHONPATH

cat > look.py << 'EOF'
import contextlib
import io
import sys

import numpy
from prdc import compute_prdc


def score(features, k):
    with contextlib.redirect_stdout(io.StringIO()):  # it prints sizes
        found = compute_prdc(real_features=features, fake_features=features, nearest_k=k)
    return {name: round(float(value), 6) for name, value in found.items()}


one = numpy.random.default_rng(0).integers(-50, 50, size=(300, 16)).astype(float)
six = numpy.repeat(one, 6, axis=0)
alone, hidden, seen = score(one, 5), score(six, 5), score(six, 6)
print("each row once, k = 5:     ", alone)
print("each row six times, k = 5:", hidden)
print("each row six times, k = 6:", seen)
as_described = (
    all(alone[name] == 1 for name in ("precision", "recall", "coverage"))
    and set(hidden.values()) == {0.0}
    and all(seen[name] == 1 for name in ("precision", "recall", "coverage"))
)
sys.exit(not as_described)
EOF
env/bin/python look.py
