#!/usr/bin/env bash
# scikit-image 0.26.0's structural_similarity(gradient=True) returns the gradient of another number than its score.
#
# Valid input: a picture and a noisy copy in [0, 1], data_range=1, gradient=True. Expected, as documented:
# the gradient of the score with respect to the second picture, so that central differences of the score agree.
# Seen: the score is the mean over the map without its border, the gradient that of the mean over the whole map.
# In the middle of a picture of 32 x 32 pixels it is 0.66 of what it should be, with the Gaussian weights of
# the SSIM paper 0.47; along the border it is 5 times too large, with Gaussian weights 400 times, and some pixels have
# the wrong sign. A colour picture has the mean of three scores and three times each slope. Differences of the whole
# map's mean (full=True) agree to nine digits. Who climbs SSIM by it, as an inversion or an adversarial
# example does, changes the border, where the score does not look, and a step length fits one size only.
#
#   32 x 32, uniform window          middle 0.660 of the slope, border   5.2 times, 2% wrong signs; whole map 1.000000
#   32 x 32, Gaussian weights        middle 0.473 of the slope, border 404.6 times, 7% wrong signs; whole map 1.000000
#   32 x 32, three channels          middle 1.980 of the slope
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
import itertools
import sys

import numpy
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

SIDE, STEP = 32, 1e-5
generator = numpy.random.default_rng(0)
grey = gaussian_filter(generator.random((SIDE, SIDE)), 2)
grey = (grey - grey.min()) / numpy.ptp(grey)
noisy = (grey + 0.1 * generator.standard_normal(grey.shape)).clip(0, 1)


def score(one, two, **options):
    # without the factor for samples, which equations 7 and 8 of the gradient's paper have not, either
    options |= {"data_range": 1, "use_sample_covariance": False}
    return structural_similarity(one, two, **options)


def slopes(number, picture, places):
    """The change of `number` with each of the pixels, by central differences."""
    found = []
    for place in places:
        more, less = picture.copy(), picture.copy()
        more[place] += STEP
        less[place] -= STEP
        found.append((number(more) - number(less)) / (2 * STEP))
    return numpy.array(found)


def share(seen, true):
    """By what the true slopes are multiplied, by least squares."""
    return float((seen * true).sum() / (true**2).sum())


def look(name, **options):
    """Gradient against slopes: in the middle, along the border, signs, and of the whole map's mean."""
    _, seen = score(grey, noisy, gradient=True, **options)
    everywhere = list(itertools.product(range(SIDE), repeat=2))
    true = slopes(lambda picture: score(grey, picture, **options), noisy, everywhere)
    whole = slopes(
        lambda picture: score(grey, picture, full=True, **options)[1].mean(), noisy, everywhere
    )
    true, whole = true.reshape(grey.shape), whole.reshape(grey.shape)
    inner = slice(12, -12)  # farther from the border than two windows reach
    middle = share(seen[inner, inner], true[inner, inner])
    border = float(abs(seen[0]).mean() / abs(true[0]).mean())
    wrong = float((numpy.sign(seen) != numpy.sign(true)).mean())
    print(
        f"{SIDE} x {SIDE}, {name:23} middle {middle:.3f} of the slope, border {border:5.1f} times,",
        f"{wrong:.0%} wrong signs; whole map {share(seen, whole):.6f}",
    )
    return middle, border, wrong, float(abs(seen - whole).max() / abs(whole).max())


def look_at_colours():
    picture = generator.random((SIDE, SIDE, 3))
    other = (picture + 0.1 * generator.standard_normal(picture.shape)).clip(0, 1)
    places = list(itertools.product(range(14, 18), range(14, 18), range(3)))
    _, seen = score(picture, other, gradient=True, channel_axis=2)
    true = slopes(lambda one: score(picture, one, channel_axis=2), other, places)
    middle = share(numpy.array([seen[place] for place in places]), true)
    print(f"{SIDE} x {SIDE}, {'three channels':23} middle {middle:.3f} of the slope")
    return middle


uniform = look("uniform window")
gaussian = look("Gaussian weights", gaussian_weights=True, sigma=1.5)
colours = look_at_colours()
kept = [((SIDE - 2 * width) / SIDE) ** 2 for width in (3, 5)]  # the map without its border
as_described = (
    abs(uniform[0] - kept[0]) < 1e-3
    and abs(gaussian[0] - kept[1]) < 1e-3
    and abs(colours - 3 * kept[0]) < 1e-3
    and 4 < uniform[1] < 6
    and gaussian[1] > 100
    and all(0.01 < wrong < 0.1 and apart < 1e-6 for _, _, wrong, apart in (uniform, gaussian))
)
sys.exit(not as_described)
EOF
env/bin/python look.py
