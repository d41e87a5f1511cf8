#!/usr/bin/env bash
# image-similarity-measures 0.3.6's fsim sees no edge that darkens, and takes strong ones that brighten for weak ones.
#
# Valid input: colour pictures of 8 bits. Expected, as the metric's authors (Zhang et al., IEEE TIP 2011) define it:
# the strength of edges is the root of the sum of two squared differences, the same for an edge from dark to bright and
# from bright to dark. Seen: fsim (image_similarity_measures/quality_metrics.py) has OpenCV's Scharr filter write to
# 16 bits without a sign, where every falling edge is 0, and squares the rest in 16 bits, where all above 255 wraps:
# an edge of 10 levels has strength 160, one of 100 levels 64 instead of 1,600, one of 128 levels 0. No
# message. With the differences in floats the number is as defined. No issue about it was found.
#
# Why it matters: noise of 5 levels costs more than half of the contrast, a bright square of 60 levels is more like
# one of 100 than that of 80 is, and a pair of pictures scores otherwise when both are turned upside down.
#
#                           fsim    turned        floats  turned
#   noise of 5 levels        0.791   0.794         0.914   0.914
#   half of the contrast     0.873   0.876         0.801   0.801
#   squares of 100 and 80    0.837   0.837         0.991   0.991
#   squares of 100 and 60    0.998   0.998         0.957   0.957
#
# Ends with 0 while that is so, with 1 once the package behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  image-similarity-measures==0.3.6 phasepack==1.5 scikit-image==0.20.0 opencv-python==4.11.0.86 \
  scipy==1.17.1 numpy==1.26.4
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import cv2
import numpy
from scipy.ndimage import gaussian_filter

warnings.simplefilter("ignore")  # of a faster Fourier transform that is not there
from image_similarity_measures import quality_metrics

as_it_stands = quality_metrics._gradient_magnitude
generator = numpy.random.default_rng(0)


def in_floats(plane, _):
    return as_it_stands(plane.astype(float), cv2.CV_64F)


def fsim(one, other, gradient=as_it_stands):
    quality_metrics._gradient_magnitude = gradient
    return float(quality_metrics.fsim(one, other))


def turned(picture):
    return numpy.ascontiguousarray(picture[::-1, ::-1])


def look(name, one, other):
    pairs = (one, other), (turned(one), turned(other))
    seen, right = (
        [fsim(*pair, gradient) for pair in pairs] for gradient in (as_it_stands, in_floats)
    )
    print(f"{name:24} {seen[0]:.3f}   {seen[1]:.3f}         {right[0]:.3f}   {right[1]:.3f}")
    return seen, right


def square(levels):
    picture = numpy.full((96, 96, 3), 40, numpy.uint8)
    picture[24:72, 24:72] += numpy.uint8(levels)
    return picture


edges = {}
for levels in (10, 100, 128):
    row = square(levels)[:, :, 0]
    rising, falling = slice(22, 26), slice(70, 74)
    strength = as_it_stands(row, cv2.CV_16U)[48]
    defined = in_floats(row, None)[48]
    edges[levels] = [
        float(part.max()) for part in (strength[rising], strength[falling], defined[rising])
    ]
    assert defined[falling].max() == edges[levels][2] == 16 * levels
    strengths = "{:g} rising, {:g} falling".format(*edges[levels])
    print(f"an edge of {levels:3} levels: {strengths}; as defined {16 * levels}")

smooth = numpy.dstack([gaussian_filter(generator.normal(size=(96, 96)), 3) for _ in range(3)])
smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
picture = (smooth * 200 + 25).astype(numpy.uint8)
noise = generator.normal(0, 5, picture.shape)
print(f"{'':24} fsim    turned        floats  turned")
noisy = look("noise of 5 levels", picture, (picture + noise).clip(0, 255).astype(numpy.uint8))
flat = look("half of the contrast", picture, picture // 2 + 64)
near = look("squares of 100 and 80", square(100), square(80))
far = look("squares of 100 and 60", square(100), square(60))
as_described = (
    edges == {10: [160, 0, 160], 100: [64, 0, 1600], 128: [0, 0, 2048]}
    and all(abs(right[0] - right[1]) < 1e-6 for _, right in (noisy, flat, near, far))
    and abs(noisy[0][0] - noisy[0][1]) > 1e-3
    and noisy[0][0] < flat[0][0]
    and noisy[1][0] > flat[1][0]
    and near[0][0] < far[0][0] - 0.1
    and near[1][0] > far[1][0]
)
sys.exit(not as_described)
EOF
env/bin/python look.py
