#!/usr/bin/env bash
# scikit-image 0.26.0's denoise_bilateral weighs a pixel's neighbours along a diagonal, and the pixel itself hardly.
#
# Valid input: a grey picture in [0, 1] with noise, sigma_spatial 1, 2 and 3, the window that the function chooses.
# Expected, as documented: weights by "the Gaussian function of the Euclidean distance between two pixels", the
# pixel itself the most. Seen: with sigma_spatial=1 (the default) and a sigma_color so large that only distance counts,
# the pixel itself has less than 0.01% of the weight, not 16%, and the most has the one two rows below and two columns
# left of it; with sigma_spatial=3 it is eight columns left. The table of weights has a row and a column more than
# the window and is read as if it had not, so that each row slips by one. A mirrored face comes out otherwise
# than the mirror image of the face, and noise stays: as a defence, or as the denoising in front of a
# recogniser, it loses 4 to 6 dB against the filter's definition, and can be worse than the noise.
#
#   sigma_spatial 1: weight of the pixel 0.0000 (defined 0.1592), the most for the one 2 below, 2 left
#   noisy 25.98 dB; sigma_color 0.1: seen 28.00 dB, defined 32.22 dB; mirrored 0.12 apart, defined 0.00
#   sigma_spatial 2: weight of the pixel 0.0001 (defined 0.0399), the most for the one 2 below, 5 left
#   noisy 25.98 dB; sigma_color 0.1: seen 26.91 dB, defined 31.92 dB; mirrored 0.09 apart, defined 0.00
#   sigma_spatial 3: weight of the pixel 0.0001 (defined 0.0177), the most for the one 2 below, 8 left
#   noisy 25.98 dB; sigma_color 0.2: seen 23.27 dB, defined 29.33 dB; mirrored 0.09 apart, defined 0.00
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

import numpy
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_bilateral

generator = numpy.random.default_rng(0)
clean = gaussian_filter(generator.random((64, 64)), 3)
clean = 0.1 + 0.8 * (clean - clean.min()) / numpy.ptp(clean)
noisy = (clean + 0.05 * generator.standard_normal(clean.shape)).clip(0, 1)


def seen(picture, colour, spatial):
    return denoise_bilateral(picture, sigma_color=colour, sigma_spatial=spatial, mode="edge")


def defined(picture, colour, spatial):
    """Tomasi and Manduchi, 1998, in the same window and with the same border."""
    reach = math.ceil(3 * spatial)
    padded = numpy.pad(picture, reach, mode="edge")
    total, weights = numpy.zeros_like(picture), numpy.zeros_like(picture)
    rows, columns = picture.shape
    for i in range(2 * reach + 1):
        for j in range(2 * reach + 1):
            other = padded[i : i + rows, j : j + columns]
            distance = ((i - reach) ** 2 + (j - reach) ** 2) / spatial**2
            weight = numpy.exp(-(distance + ((other - picture) / colour) ** 2) / 2)
            total += weight * other
            weights += weight
    return total / weights


def weigh(filtered, spatial):
    """The weight of the pixel itself, and the place of the greatest weight: rows below, columns left."""
    flat, middle = numpy.full((41, 41), 0.5), 20
    flat[middle, middle] += 0.01
    weights = (filtered(flat, 1e4, spatial) - 0.5) / 0.01  # colours count for nothing
    assert abs(weights.sum() - 1) < 1e-6
    row, column = numpy.unravel_index(weights.argmax(), weights.shape)
    # The picture shows who takes from the middle; a pixel takes from the opposite place.
    return weights[middle, middle], (int(middle - row), int(column - middle))


def decibels(picture):
    return float(-10 * numpy.log10(((picture - clean) ** 2).mean()))


def mirrored(filtered, *options):
    """How far the filtered mirror image is from the mirror image of the filtered picture."""
    return float(abs(filtered(noisy[:, ::-1], *options)[:, ::-1] - filtered(noisy, *options)).max())


def look(spatial, colour):
    (own, (below, left)), (own_defined, place) = weigh(seen, spatial), weigh(defined, spatial)
    assert place == (0, 0)
    got, wanted = (decibels(filtered(noisy, colour, spatial)) for filtered in (seen, defined))
    apart = [mirrored(filtered, colour, spatial) for filtered in (seen, defined)]
    print(
        f"sigma_spatial {spatial}: weight of the pixel {own:.4f} (defined {own_defined:.4f}),",
        f"the most for the one {below} below, {left} left",
    )
    print(
        f"noisy {decibels(noisy):.2f} dB; sigma_color {colour}: seen {got:.2f} dB,",
        f"defined {wanted:.2f} dB; mirrored {apart[0]:.2f} apart, defined {apart[1]:.2f}",
    )
    return own < own_defined / 100, (below, left), wanted - got, apart, got


found = [look(1, 0.1), look(2, 0.1), look(3, 0.2)]
as_described = (
    all(light and lost > 3 for light, _, lost, *_ in found)
    and [place for _, place, *_ in found] == [(2, 2), (2, 5), (2, 8)]
    and all(apart[0] > 0.05 and apart[1] < 1e-9 for *_, apart, _ in found)
    and found[2][-1] < decibels(noisy)
)
sys.exit(not as_described)
EOF
env/bin/python look.py
