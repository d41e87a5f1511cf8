#!/usr/bin/env bash
# sewar 0.4.10's vifp gives a noisy picture 0.14 as bytes and 1.09, more than a perfect copy, as floats from 0 to 1.
#
# Valid input: a grey picture and a noisy one, as uint8 and, both divided by 255, as floats. Expected: one value,
# or a parameter of the range: psnr and ssim of the same package say "floating-point images are assumed to be in
# [0, 1]" and give one value. Seen: the visual information fidelity of the floats is about 1 at any noise.
# _vifp_single (sewar/full_ref.py) adds sigma_nsq = 2, the variance of the eye's noise, to local variances, as is
# meant for values up to 255; beside variances of values up to 1 it is so large that the ratio compares energies,
# to which noise adds. With sigma_nsq=2/255**2 both are equal. The docstring says "variance of the visual noise
# (default = 2)" and names no range. No issue about it was found.
#
# Why it matters: networks put out floats from 0 to 1. Reconstructions that are scored as they are get another
# order than those that were saved and read again: the blurred one is the worst of these, not the second best.
#
#   noise of 5     bytes 0.601   floats 1.004   floats with 2 / 255^2 0.601
#   noise of 40    bytes 0.136   floats 1.087   floats with 2 / 255^2 0.136
#   blurred        bytes 0.447   floats 0.376   floats with 2 / 255^2 0.447
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
import itertools
import sys
import warnings

import numpy
from scipy.ndimage import gaussian_filter
from sewar.full_ref import psnr, ssim, vifp

warnings.simplefilter("error")
generator = numpy.random.default_rng(0)
smooth = gaussian_filter(generator.normal(size=(64, 64)), 3)
span = smooth.max() - smooth.min()
picture = ((smooth - smooth.min()) / span * 160 + 50).astype(numpy.uint8)


def look(name, other):
    pairs = (picture, other), (picture / 255, other / 255)
    of_bytes, of_floats = (float(vifp(*pair)) for pair in pairs)
    scaled = float(vifp(*pairs[1], sigma_nsq=2 / 255**2))
    print(f"{name:12} vifp of bytes {of_bytes:.3f}   of floats {of_floats:.3f}   with 2 / 255^2 {scaled:.3f}")
    for score in (psnr, lambda *pair: ssim(*pair)[0]):
        values = [float(score(*pair)) for pair in pairs]
        assert abs(values[0] - values[1]) < 1e-6
    assert abs(of_bytes - scaled) < 1e-3
    return of_bytes, of_floats


noisy = []
for size in (5, 10, 20, 40):
    noise = generator.normal(0, size, picture.shape)
    noisy.append(look(f"noise of {size}", (picture + noise).clip(0, 255).astype(numpy.uint8)))
blurred = look("blurred", gaussian_filter(picture, 3))
as_described = (
    all(before[0] > after[0] for before, after in itertools.pairwise(noisy))
    and noisy[-1][0] < 0.2
    and all(of_floats > 0.95 for _, of_floats in noisy)
    and noisy[-1][1] > 1
    and noisy[1][0] < blurred[0] < noisy[0][0]
    and blurred[1] < min(of_floats for _, of_floats in noisy)
)
sys.exit(not as_described)
EOF
env/bin/python look.py
