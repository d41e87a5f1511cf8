#!/usr/bin/env bash
# pandera 0.35.0 drops valid rows beside the invalid ones where parts of a table were put together.
#
# Valid input: the rows of 300 pictures, three splits of 100 after pandas.concat, so that each number from 0 to 99 is
# in the index three times; 13 pictures have a width of 0. A schema with drop_invalid_rows=True and no rule for the
# index. Expected: 287 rows, or a refusal because the index does not tell rows apart. Seen: 267. Rows are dropped by
# their index: a picture that is broken in one split takes those of the same number out of the others. No
# message; the same schema without dropping names the 13 rows alone. After reset_index, 287 rows. So the more splits
# are checked at once, the more whole pictures are lost, and a person with few pictures can be gone.
#
#   300 rows, 13 of them invalid: 267 are kept, 20 valid ones are lost; after reset_index 287
#   one broken picture of 100 people with 1 picture each, in folders of one: 0 of 99 people are kept
#
# Ends with 0 while that is so, with 1 once pandera behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pandera==0.35.0 pandas==3.0.3 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy
import pandas
import pandera.pandas as pandera

warnings.simplefilter("error")
generator = numpy.random.default_rng(0)
RULE = {"width": pandera.Column(int, pandera.Check.gt(0))}
dropping = pandera.DataFrameSchema(RULE, drop_invalid_rows=True)


def part(name, widths):
    paths = [f"{name}/{number}.png" for number in range(len(widths))]
    return pandas.DataFrame({"path": paths, "width": widths})


def named(table):
    """How many rows the schema names as invalid."""
    try:
        pandera.DataFrameSchema(RULE).validate(table, lazy=True)
    except pandera.errors.SchemaErrors as found:
        return len(found.failure_cases)
    return 0


def look(parts):
    """Rows, those named as invalid, and how many are kept as they are and after reset_index."""
    table = pandas.concat(parts)
    before = table.copy()
    kept = dropping.validate(table, lazy=True)
    assert table.equals(before) and bool((kept["width"] > 0).all())
    again = dropping.validate(table.reset_index(drop=True), lazy=True)
    return len(table), named(table), len(kept), len(again)


splits = look(
    part(name, numpy.where(generator.random(100) < 0.05, 0, 64))
    for name in ("train", "valid", "test")
)
people = look(part(f"person {number}", [0 if number == 7 else 64]) for number in range(100))
for name, (rows, invalid, kept, again) in {"three splits": splits, "one picture each": people}.items():
    print(
        f"{name:16} {rows} rows, {invalid} of them invalid: {kept} are kept,",
        f"{rows - invalid - kept} valid ones are lost; after reset_index {again} are kept",
    )
as_described = (
    splits[:2] == (300, 13)
    and splits[2] < 287
    and splits[3] == 287
    and people == (100, 1, 0, 99)
)
sys.exit(not as_described)
EOF
env/bin/python look.py
