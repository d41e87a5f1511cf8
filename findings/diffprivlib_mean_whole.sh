#!/usr/bin/env bash
# diffprivlib 0.6.6's mean along an axis of hits and misses is 0 in every column, however large epsilon is.
#
# Valid input: 2,000 images by four classifiers, 1 where the classifier is right and 0 where not, as bool or whole
# numbers. Expected: mean(hits, bounds=(0, 1), axis=0) is four noisy accuracies, as numpy.mean gives four floats and
# as mean of each column alone does. Seen: four zeros, of type int64. _wrap_axis (diffprivlib/tools/utils.py) writes
# the results into an array that it makes by numpy.zeros_like(array).sum(axis), of the column's kind of number, which
# cuts the fractions off. var and std are 0, too, and so is mean with keepdims=True. Of the same hits as floats, all
# are right. No message, and the budget is spent. No issue about it was found.
#
# Why it matters: a private accuracy per person, classifier or attribute reads 0 and looks like the price of
# privacy; no larger epsilon or set helps. A mean picture of 8-bit ones is half a level too dark.
#
#   accuracies               0.129 0.510 0.780 0.969   float64
#   mean of bool             0.000 0.000 0.000 0.000   int64
#   std of uint8             0.000 0.000 0.000 0.000   float64
#   mean of float64          0.129 0.510 0.781 0.968   float64
#   each column alone        0.129 0.510 0.780 0.968   float64
#   over all 0.597, with keepdims=True 0
#
# Ends with 0 while that is so, with 1 once diffprivlib behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  diffprivlib==0.6.6 scikit-learn==1.7.2 scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy
from diffprivlib import BudgetAccountant, tools

warnings.simplefilter("error")
EPSILON = 10.0  # large, so that the noise is small beside what is to be seen
generator = numpy.random.default_rng(0)
hits = generator.random((2000, 4)) < (0.12, 0.51, 0.78, 0.97)
pictures = generator.integers(0, 256, (500, 64), dtype=numpy.uint8)


def private(function, rows, top, axis=0):
    accountant = BudgetAccountant()
    found = function(
        rows, epsilon=EPSILON, bounds=(0, top), axis=axis, random_state=0, accountant=accountant
    )
    assert accountant.total()[0] > EPSILON - 1e-6
    return numpy.asarray(found)


def show(name, values):
    print(f"{name:24}", *(f"{float(value):.3f}" for value in values), f"  {values.dtype}")


true = hits.mean(axis=0)
show("accuracies", true)
zero, right = [], []
for kind in (bool, numpy.uint8, numpy.int64, float):
    rows = hits.astype(kind)
    for function in (tools.mean, tools.var, tools.std):
        values = private(function, rows, 1)
        show(f"{function.__name__} of {rows.dtype}", values)
        plain = getattr(numpy, function.__name__)(hits.astype(float), axis=0)
        (right if kind is float else zero).append((values, plain))
alone = numpy.array([private(tools.mean, column, 1, axis=None) for column in hits.T.astype(int)])
show("each column alone", alone)
right.append((alone, true))
whole = [
    tools.mean(hits, epsilon=EPSILON, bounds=(0, 1), random_state=0, keepdims=kept)
    for kept in (False, True)
]
print(f"over all {float(whole[0]):.3f}, with keepdims=True {whole[1].item():g}")

bytes_, floats = (private(tools.mean, pictures.astype(kind), 255) for kind in ("uint8", "float64"))
darker = float((floats - bytes_).mean())
print(f"a mean picture of uint8 is {darker:.2f} levels darker than of the same as floats")
as_described = (
    all(not values.any() and (plain > 0.01).all() for values, plain in zero)
    and all(abs(values - plain).max() < 0.02 for values, plain in right)
    and abs(whole[0] - hits.mean()) < 0.01
    and whole[1].item() == 0
    and 0.3 < darker < 0.7
)
sys.exit(not as_described)
EOF
env/bin/python look.py
