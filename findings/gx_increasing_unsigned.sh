#!/usr/bin/env bash
# Great Expectations 1.24.1 lets a falling column pass as strictly increasing where its type is unsigned.
#
# Valid input: a pandas column of uint8, uint16, uint32, uint64 or UInt8, as counts, pixels and labels are kept.
# Expected: ExpectColumnValuesToBeIncreasing fails for 3, 2, 1 and ExpectColumnValuesToBeDecreasing succeeds, as
# for int64 and float64. Seen: the first succeeds, with `strictly` too and without an unexpected row, and the
# second fails. Only a repeated value still counts. _pandas (great_expectations/expectations/metrics/
# column_map_metrics/column_values_increasing.py and _decreasing.py) compares column.diff() with 0, and pandas
# subtracts in the column's type: 2 - 3 is 255. The docstring says "numeric or datetime data". No issue about it
# was found.
#
# Why it matters: a contract of a training's epochs, of sorted thresholds or of a file's ordered rows holds
# whatever the order is, and one that asks for falling numbers of pictures never holds.
#
#   3, 2, 1 as uint8    strictly increasing True    decreasing False
#   3, 2, 1 as int64    strictly increasing False   decreasing True
#
# Ends with 0 while that is so, with 1 once Great Expectations behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  great-expectations==1.24.1 pandas==3.1.1 numpy==2.4.6
unset PYTHONPATH
export GX_ANALYTICS_ENABLED=false

cat > look.py << 'EOF'
import sys
import warnings

import great_expectations as gx
import pandas
from great_expectations.data_context.types.base import ProgressBarsConfig

warnings.simplefilter("ignore")
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = ProgressBarsConfig(globally=False)
asset = context.data_sources.add_pandas("files").add_dataframe_asset("rows")
whole = asset.add_batch_definition_whole_dataframe("whole")
ASKED = [
    (gx.expectations.ExpectColumnValuesToBeIncreasing, True),
    (gx.expectations.ExpectColumnValuesToBeIncreasing, False),
    (gx.expectations.ExpectColumnValuesToBeDecreasing, True),
    (gx.expectations.ExpectColumnValuesToBeDecreasing, False),
]


def look(values, kind):
    """What is found: strictly increasing, increasing, strictly decreasing, decreasing."""
    table = pandas.DataFrame({"epoch": pandas.Series(values, dtype=kind)})
    batch = whole.get_batch(batch_parameters={"dataframe": table})
    asked = [expected(column="epoch", strictly=strictly) for expected, strictly in ASKED]
    found = [batch.validate(one).success for one in asked]
    print(f"{values} as {kind:7} increasing: strictly {found[0]!s:5} not {found[1]!s:5}", end="   ")
    print(f"decreasing: strictly {found[2]!s:5} not {found[3]!s:5}")
    return found


right = [
    look(values, kind) == expected
    for kind in ("int64", "float64")
    for values, expected in (
        ([1, 2, 3], [True, True, False, False]),
        ([3, 2, 1], [False, False, True, True]),
        ([3, 1, 2], [False] * 4),
    )
]
wrong = [
    look(values, kind) == [True, True, False, False]
    for kind in ("uint8", "uint16", "uint32", "uint64", "UInt8")
    for values in ([3, 2, 1], [3, 1, 2])
]
same = look([2, 2, 2], "uint8") == [False, True, False, True]
sys.exit(not (all(right) and all(wrong) and same))
EOF
env/bin/python look.py
