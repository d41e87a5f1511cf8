#!/usr/bin/env bash
# sewar 0.4.10's uqi gives a picture's negative 0.85, an unrelated one 0.93 and a plain grey one 0.96.
#
# Valid input: a smooth grey picture of 8 bits, itself and five others. Expected: the universal image quality index of Wang
# and Bovik, the mean over windows of 8 x 8 of 4 cov(x, y) mean(x) mean(y) / ((var(x) + var(y)) (mean(x)^2 +
# mean(y)^2)): below 0 for the negative, about 0 where nothing is shared. Seen: high values for all of them.
# _uqi_single (sewar/full_ref.py) is written for the sums of a window, where N sum(xy) - sum(x) sum(y) is N^2 times
# the covariance, but its sums are of scipy's uniform_filter, which gives means: N mean(xy) - mean(x) mean(y) is
# nearly N mean(xy), so contrast and structure hardly count. The same picture still has 1. A user of lanha/DSen2
# (issue 11) found sewar's UIQ higher than a paper's; no issue about the cause was found.
#
# Why it matters: a reconstructed face that shares no structure with the private one is scored 0.93, the face under
# strong noise 0.99: the index does not tell leaks from failures.
#
#   the same    sewar 1.000   by the formula  1.000      negative   sewar 0.847   by the formula -0.937
#   noisy       sewar 0.988   by the formula  0.571      noise      sewar 0.822   by the formula  0.008
#   unrelated   sewar 0.927   by the formula  0.094      plain grey sewar 0.961   by the formula  0.000
#
# Ends with 0 while that is so, with 1 once sewar behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check sewar==0.4.10 scipy==1.17.1 numpy==2.4.6 pillow==13.0.0
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy
from scipy.ndimage import gaussian_filter
from sewar.full_ref import uqi

warnings.simplefilter("error")
generator = numpy.random.default_rng(0)


def smooth():
    picture = gaussian_filter(generator.normal(size=(64, 64)), 3)
    span = picture.max() - picture.min()
    return ((picture - picture.min()) / span * 160 + 50).astype(numpy.uint8)


def windows(picture):
    every = numpy.lib.stride_tricks.sliding_window_view(picture.astype(float), (8, 8))
    return every.reshape(-1, 64)


def by_formula(first, second):
    a, b = windows(first), windows(second)
    means = a.mean(axis=1), b.mean(axis=1)
    shared = (a * b).mean(axis=1) - means[0] * means[1]
    below = (a.var(axis=1) + b.var(axis=1)) * (means[0] ** 2 + means[1] ** 2)
    return float((4 * shared * means[0] * means[1] / below).mean())


picture, unrelated = smooth(), smooth()
noise = generator.normal(0, 20, picture.shape)
others = {
    "the same": picture,
    "noisy": numpy.clip(picture + noise, 0, 255).astype(numpy.uint8),
    "unrelated": unrelated,
    "negative": (260 - picture.astype(int)).astype(numpy.uint8),  # of 50 to 210
    "noise": generator.integers(0, 256, picture.shape, dtype=numpy.uint8),
    "plain grey": numpy.full_like(picture, round(picture.mean())),
}
seen = {name: (float(uqi(picture, other)), by_formula(picture, other)) for name, other in others.items()}
for name, (found, right) in seen.items():
    print(f"{name:11} sewar {found:.3f}   by the formula {right:6.3f}")
as_described = (
    all(abs(value - 1) < 1e-9 for value in seen["the same"])
    and all(found > 0.8 for found, _ in seen.values())
    and seen["noisy"][1] < 0.7
    and seen["negative"][1] < -0.9
    and all(abs(seen[name][1]) < 0.15 for name in ("unrelated", "noise", "plain grey"))
)
sys.exit(not as_described)
EOF
env/bin/python look.py
