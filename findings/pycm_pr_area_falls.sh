#!/usr/bin/env bash
# pycm 4.6 gives a perfect classifier the less area below its precision-recall curve the surer it is, down to 0.
#
# Valid input: 80 pictures, 40 of them of a person, each of whom has a higher probability than all others.
# Expected: an area of 1 whatever the probabilities are, as average_precision_score of scikit-learn, and pycm's own
# ROCCurve says. Seen: PRCurve.area() is 0.975 where the 40 have 40 probabilities, and 0.0 where all 40 have 1.0.
# The curve has one point for each probability, the last at the recall of the highest one, and Curve.area
# (pycm/curve.py) integrates between the points: all that is left of the last one, whose recall is the share of
# pictures with the highest probability, counts as 0. ROCCurve got its missing end in pull request 629 of
# sepandhaghighi/pycm; PRCurve did not, and issue 216, which asked for the area, says nothing of it. The method
# "midpoint" gives the same. pycm warns of "non-numerical" points in some of these cases, not in the last one.
#
# Why it matters: softmax and sigmoid saturate, and rounded to three digits most faces of a well trained
# classifier have 1.000. The better of two classifiers, or the same one at a lower temperature, then looks worse.
#
#   probabilities of one set of scores, times 1:  area 0.950    ROC 1.000    average precision 1.000
#   times 4:                                      area 0.250    ROC 1.000    average precision 1.000
#   1 for each of the 40, 0 for the others:       area 0.000    ROC 1.000    average precision 1.000
#
# Ends with 0 while that is so, with 1 once pycm behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  pycm==4.6 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import itertools
import sys
import warnings

import numpy
from pycm import PRCurve, ROCCurve
from sklearn.metrics import average_precision_score

warnings.simplefilter("ignore")  # of thresholds that nothing reaches; with 0 and 1 there is none
truth = numpy.repeat([0, 1], 40)
generator = numpy.random.default_rng(0)
scores = generator.normal(0, 1, 80) + 2.5 * (2 * truth - 1)
assert scores[truth == 1].min() > scores[truth == 0].max()  # nobody is confused


def look(name, sure):
    """The two areas for the person, and the average precision of scikit-learn."""
    curves = [
        kind(actual_vector=truth, probs=numpy.stack([1 - sure, sure], axis=1), classes=[0, 1])
        for kind in (PRCurve, ROCCurve)
    ]
    area, of_roc = (curve.area()[1] for curve in curves)
    middle = curves[0].area(method="midpoint")[1]
    other = float(average_precision_score(truth, sure))
    print(f"{name:18} area {area:.3f}   by midpoints {middle:.3f}   ROC {of_roc:.3f}   scikit-learn {other:.3f}")
    assert abs(area - middle) < 1e-9 and other == 1
    return area, of_roc


found = [
    look(f"scores times {factor:g}", numpy.round(1 / (1 + numpy.exp(-factor * scores)), 3))
    for factor in (0.5, 1, 2, 4, 8)
]
certain = look("0 and 1", truth.astype(float))
found.append(certain)
as_described = (
    all(later[0] < earlier[0] for earlier, later in itertools.pairwise(found))
    and found[0][0] > 0.95
    and certain[0] == 0
    and all(abs(of_roc - 1) < 1e-9 for _, of_roc in found)
)
sys.exit(not as_described)
EOF
env/bin/python look.py
