#!/usr/bin/env bash
# Dask 2026.8.0's groupby gives the brightness of each person's pictures a deviation of 0: it squares bytes in 8 bits.
#
# Valid input: a table of 1,000 pictures of two people, its numbers as uint8 (brightness), int16, int32, or int64
# (milliseconds since 1970, as MLflow keeps start times), in four partitions. Expected: the deviation of each person that
# pandas gives, and that Dask itself gives for the whole column. Seen: groupby("person").std() is 0 for both people,
# where it is 19.7 and 19.4, and of the times one is 0 and the other 118 times too large; var is so, too, and nothing is said.
# The sums of squares are made in the column's own type, where 200 x 200 does not fit; a variance that comes out
# negative is set to 0. The mean is right. With the column as float64 all is right. So a check that every person's
# pictures differ, or the error bar of a per-person mean, is of wrapped numbers. With agg("std") it is NaN and a warning.
#
#   uint8  by hand [19.7167, 19.3752], Dask [0.0, 0.0], as float64 [19.7167, 19.3752], whole column 19.5528
#
# Ends with 0 while that is so, with 1 once Dask behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  dask==2026.8.0 pandas==3.1.1 pyarrow==25.0.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import dask.dataframe
import numpy
import pandas

warnings.simplefilter("error")
generator, PICTURES = numpy.random.default_rng(0), 1000
person = numpy.arange(PICTURES) % 2
columns = {
    "uint8": generator.normal(130, 20, PICTURES).clip(0, 255).astype("uint8"),
    "int16": generator.normal(3000, 100, PICTURES).astype("int16"),
    "int32": generator.normal(60000, 5000, PICTURES).astype("int32"),
    "int64": 1_790_000_000_000 + generator.integers(0, 3_600_000, PICTURES),
}


def rounded(values):
    return [round(float(value), 4) for value in values]


def close(found, true):
    return bool(numpy.allclose(found, true, rtol=1e-3))


as_described = True
for name, values in columns.items():
    table = pandas.DataFrame({"person": person, "value": values})
    parts = dask.dataframe.from_pandas(table, npartitions=4)
    exact = values.astype(object)  # Python's own numbers, which do not wrap
    groups = [[int(value) for value in exact[person == one]] for one in (0, 1)]
    middles = [sum(group) / len(group) for group in groups]
    hand = [
        (sum((value - middle) ** 2 for value in group) / (len(group) - 1)) ** 0.5
        for group, middle in zip(groups, middles, strict=True)
    ]
    by_pandas = table.groupby("person").value.std()
    found = parts.groupby("person").value.std().compute().sort_index()
    variance = parts.groupby("person").value.var().compute().sort_index()
    means = parts.groupby("person").value.mean().compute().sort_index()
    floats = parts.assign(value=parts.value.astype("float64"))
    fixed = floats.groupby("person").value.std().compute().sort_index()
    whole = float(parts.value.std().compute())
    print(
        f"{name}  by hand {rounded(hand)}, Dask {rounded(found)}, as float64 {rounded(fixed)},",
        f"whole column {whole:.4f}",
    )
    as_described = (
        as_described
        and close(by_pandas, hand)
        and close(means, middles)
        and close(whole, float(table.value.std()))
        and not any(close(one, true) for one, true in zip(found, hand, strict=True))
        and close(variance, found**2)
    )
    if name != "int64":  # squares of times are beyond float64's digits, too
        as_described = as_described and close(fixed, hand) and rounded(found) == [0, 0]
sys.exit(not as_described)
EOF
env/bin/python look.py
