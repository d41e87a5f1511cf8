#!/usr/bin/env bash
# SciPy 1.17.1's euclidean, cityblock, chebyshev and cosine are wrong on 8-bit pictures; cdist is right.
#
# Valid input: pictures as vectors of uint8, as files of faces are read. Expected: the distances of their
# values, as cdist computes them, or an error. Seen: scipy.spatial.distance.euclidean subtracts in uint8,
# where 10 - 26 is 240, so every value that is a little lighter in the second picture counts as far away. In
# the same module sqeuclidean takes the same two arrays and is right, so the one is not the root of the
# other; canberra and correlation are right, too. Of cosine alone NumPy says "overflow". Of 300 training
# pictures (of noise) the nearest to a reconstruction is then never the right one: the leak is not found.
# scikit-learn 1.9.1's max_error and median_absolute_error do the same, its mean_absolute_error and
# mean_squared_error do not. As float64, all agree.
#
#   euclidean              uint8   11076.5353   float64     605.5493
#   cosine                 uint8       0.0000   float64       0.0022
#   sqeuclidean            uint8  366690.0000   float64  366690.0000
#   max_error              uint8     255.0000   float64      16.0000
#   nearest is the true picture: euclidean 0 of 20, cdist 20 of 20
#
# Ends with 0 while that is so, with 1 once SciPy or scikit-learn behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6 scikit-learn==1.9.1
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy
from scipy.spatial import distance
from sklearn import metrics

warnings.simplefilter("ignore")  # cosine says "overflow", the others nothing
generator = numpy.random.default_rng(0)
training = generator.integers(20, 236, (300, 64 * 64), dtype=numpy.uint8)
noise = generator.integers(-16, 17, training.shape)
found = (training + noise).astype(numpy.uint8)  # from 4 to 251: nothing wraps here
face, near = training[0], found[0]
bytes_, floats = (face, near), (face.astype(float), near.astype(float))


def is_right(function):
    values = [float(function(*pair)) for pair in (bytes_, floats)]
    print(f"{function.__name__:22} uint8 {values[0]:12.4f}   float64 {values[1]:12.4f}")
    return abs(values[0] - values[1]) < 1e-6 * max(1, values[1])


distances = "euclidean cityblock chebyshev cosine sqeuclidean canberra correlation".split()
right = {name: is_right(getattr(distance, name)) for name in distances}
table = {
    name: abs(
        float(distance.cdist(face[None], near[None], name)[0, 0])
        - float(distance.cdist(floats[0][None], floats[1][None], name)[0, 0])
    )
    for name in distances
}
print("cdist of the same: at most", max(table.values()), "apart")
scores = "max_error median_absolute_error mean_absolute_error mean_squared_error".split()
right |= {name: is_right(getattr(metrics, name)) for name in scores}

attacked = range(20)
one_by_one = sum(
    min(range(300), key=lambda row: distance.euclidean(training[row], found[person])) == person
    for person in attacked
)
at_once = int((distance.cdist(found[:20], training).argmin(axis=1) == numpy.arange(20)).sum())
print(f"nearest is the true picture: euclidean {one_by_one} of 20, cdist {at_once} of 20")
wrong = {name for name, fine in right.items() if not fine}
as_described = (
    wrong == {*distances[:4], *scores[:2]}
    and max(table.values()) < 1e-6
    and one_by_one < 10
    and at_once == 20
)
sys.exit(not as_described)
EOF
env/bin/python look.py
