#!/usr/bin/env bash
# imbalanced-learn 0.14.2's SMOTE makes pictures of 8 bits whose pixels lie outside of what they are mixed from.
#
# Valid input: pictures as rows of uint8, as files of faces are read. Expected: each new picture lies between two
# of the rare class, value by value, as the formula in the docstring says, or an error. Seen: of the rare values
# 10 and 20, half of what is drawn is outside, from 0 to 255. _generate_samples (imblearn/over_sampling/_smote/
# base.py) subtracts the picture from its neighbour in the column's type, where 10 - 20 is 246, multiplies that by
# a float from 0 to 1, and casts the sum back. No warning. uint16, uint32 and ADASYN are wrong, too; int32 and
# floats are right. No issue about it was found.
#
# Why it matters: whoever balances rare people so before training gets two pixels of five that are no mixture of
# anything, and a classifier that finds the rare class half as often.
#
#   10 and 20 as uint8, 1,000 new     50.1 % outside of 10 to 20   as int32 or float 0.0 %
#   pictures of 256 pixels            38.7 % of the pixels outside as float 0.0 %
#   300 new pictures of the rare class: found 52 after SMOTE of uint8, 95 after SMOTE of floats
#
# Ends with 0 while that is so, with 1 once imbalanced-learn behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  imbalanced-learn==0.14.2 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy
from imblearn.over_sampling import ADASYN, SMOTE
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

warnings.simplefilter("error")
generator = numpy.random.default_rng(0)


def made(method, rare, common):
    """The new rows alone; of the type of the old ones."""
    rows = numpy.concatenate([rare, common])
    labels = [1] * len(rare) + [0] * len(common)
    found, _ = method.fit_resample(rows, labels)
    assert found.dtype == rows.dtype and numpy.array_equal(found[: len(rows)], rows)
    return found[len(rows) :]


def outside(rows, rare):
    """Share of the values beyond the least and the greatest of the rare class, column by column."""
    return float(((rows < rare.min(axis=0)) | (rows > rare.max(axis=0))).mean())


apart = {}
for kind in ("uint8", "uint16", "uint32", "int32", "float64"):
    rare, common = numpy.array([[10], [20]], kind), numpy.full((1002, 1), 100, kind)
    values = made(SMOTE(k_neighbors=1, random_state=0), rare, common)
    apart[kind] = outside(values, rare)
    print(f"10 and 20 as {kind:8} {apart[kind]:6.1%} of 1,000 outside; {values.min():g} to {values.max():g}")

base = generator.integers(70, 186, 256)
shift = numpy.where(generator.random(256) < 0.3, 12, 0)


def draw(number, rare):
    """Noisy pictures (number, 256); those of the rare class are lighter in a third of the pixels."""
    noise = generator.normal(0, 25, (number, 256))
    return numpy.clip(base + rare * shift + noise, 0, 255).astype(numpy.uint8)


rare, common, new = draw(12, rare=1), draw(300, rare=0), draw(300, rare=1)
shares, found = {}, {}
for kind in ("uint8", "float64"):
    parts = rare.astype(kind), common.astype(kind)
    for method in (SMOTE(random_state=0), ADASYN(random_state=0)):
        rows = made(method, *parts)
        shares[type(method).__name__, kind] = share = outside(rows, rare)
        print(f"pictures as {kind:8} {type(method).__name__:7} {share:6.1%} of the pixels outside")
    rows = numpy.concatenate([*parts, made(SMOTE(random_state=0), *parts)]).astype(float)
    labels = [1] * len(rare) + [0] * len(common) + [1] * (len(common) - len(rare))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    found[kind] = int(classifier.fit(rows, labels).predict(new.astype(float)).sum())
    print(f"of 300 new pictures of the rare class {found[kind]} are found after SMOTE of {kind}")
as_described = (
    all(apart[kind] > 0.4 for kind in ("uint8", "uint16", "uint32"))
    and apart["int32"] == apart["float64"] == 0
    and all((share > 0.3) == (kind == "uint8") for (_, kind), share in shares.items())
    and found["uint8"] < 0.7 * found["float64"]
)
sys.exit(not as_described)
EOF
env/bin/python look.py
