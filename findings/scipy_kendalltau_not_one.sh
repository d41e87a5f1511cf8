#!/usr/bin/env bash
# SciPy 1.17.1 gives two equal orderings a Kendall's tau of 0.9999999999999999 or less, for some lengths.
#
# Valid input: stats.kendalltau of the numbers 0 to n - 1 with themselves, without ties. Expected: a
# statistic of exactly 1, since every pair is concordant. Seen: below 1 for n = 5, 6, 8, 10, 12, 13 and
# others, and 1 for n = 2, 3, 4, 7, 9; the reverse is above -1 likewise. A test for perfect agreement by
# `== 1` misses it, and Fisher's z of it is about 18.7 where the true one has no finite value, so an
# interval of zero width stands where none should.
#
# Ends with 0 while that is so, with 1 once SciPy behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import math
import sys

from scipy import stats

found = {n: float(stats.kendalltau(range(n), range(n)).statistic) for n in range(2, 60)}
back = {n: float(stats.kendalltau(range(n), range(n, 0, -1)).statistic) for n in range(2, 60)}
short = [n for n, tau in found.items() if tau < 1]
print("below 1:", short)
print("above -1:", [n for n, tau in back.items() if tau > -1])
print(f"n = 5: tau {found[5]!r}, Fisher's z {math.atanh(found[5]):.1f}")
print(f"n = 7: tau {found[7]!r}")
sys.exit(not (5 in short and found[7] == 1 and all(tau > 1 - 1e-12 for tau in found.values())))
EOF
env/bin/python look.py
