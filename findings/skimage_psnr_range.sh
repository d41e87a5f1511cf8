#!/usr/bin/env bash
# scikit-image 0.26.0 gives a picture 6.02 dB more PSNR for one value below 0.
#
# Valid input: float pictures in [-1, 1], as a generator with tanh makes them, without `data_range`.
# Expected: one range for all of them, by their type, or a demand for the range, as structural_similarity
# of the same package makes. Seen: peak_signal_noise_ratio takes the range from the true picture's darkest
# value: 1 where none is below 0, 2 where one is. A light face with a value of 0 and the same face with
# -0.001 there are 20 log10(2) = 6.02 dB apart, and a mean over faces mixes both scales. Only the first
# argument is asked, so exchanging the two changes the number by as much. With data_range=2 the two
# faces are equal to a hundredth.
#
# Ends with 0 while that is so, with 1 once scikit-image behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  scikit-image==0.26.0 scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import math
import sys
import warnings

import numpy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

warnings.simplefilter("error")
generator = numpy.random.default_rng(0)
light = generator.uniform(0.2, 0.9, (64, 64, 3))
light[0, 0, 0] = 0
found = numpy.clip(light + generator.normal(0, 0.1, light.shape), 0, 1)
below = light.copy()
below[0, 0, 0] = -0.001


def by_hand(true, other, span):
    return 10 * math.log10(span**2 / float(numpy.mean((true - other) ** 2)))


def psnr(true, other, **options):
    return float(peak_signal_noise_ratio(true, other, **options))


seen = {
    "no value below 0": (psnr(light, found), by_hand(light, found, 1)),
    "one value of -0.001": (psnr(below, found), by_hand(below, found, 2)),
    "the same two, exchanged": (psnr(found, below), by_hand(below, found, 1)),
}
for name, (value, hand) in seen.items():
    print(f"{name:24} {value:.3f} dB, by hand {hand:.3f}")
given = [psnr(true, found, data_range=2) for true in (light, below)]
print(f"{'with data_range=2':24} {given[0]:.3f} and {given[1]:.3f} dB")
try:
    structural_similarity(light, found, channel_axis=2)
    asked = False
except ValueError as error:
    print("structural_similarity:", str(error).split(".")[0])
    asked = True
step = seen["one value of -0.001"][0] - seen["no value below 0"][0]
as_described = (
    all(abs(value - hand) < 1e-6 for value, hand in seen.values())
    and abs(step - 20 * math.log10(2)) < 0.01
    and abs(given[0] - given[1]) < 0.01
    and asked
)
sys.exit(not as_described)
EOF
env/bin/python look.py
