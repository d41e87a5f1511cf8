#!/usr/bin/env bash
# statsmodels 0.15.0 answers alternative="larger" for a rate with an upper bound, and for its mean with a lower one.
#
# Valid input: 84 hits of 100. Expected of proportion_confint(alternative="larger"): what a one-sided test of
# "larger" does not reject, a lower bound, as tconfint_mean of the same package gives for the same 100 values and
# binomtest(alternative="greater").proportion_ci of SciPy for the same counts. Seen: 0 to 0.897. Rates that
# binom_test(alternative="larger") rejects, as 0.75 with p = 0.021, lie inside, and 0.95, which it does not reject,
# lies outside. proportion_confint (statsmodels/stats/proportion.py) sets the lower bound to 0 for "larger";
# confint_poisson does the same. The docstring says that one of the bounds is 0 or 1, and not which. Pull request
# 9249 of statsmodels/statsmodels chose it in review, and issue 7010 asks for an explanation.
#
# Why it matters: "the attack finds at least 77 of 100 people with 95 % confidence" is what one asks "larger" for.
# Here the answer is 0: the leak has no lower bound, or, with the bounds read together, at most 0.897.
#
#   larger    proportion_confint 0.000 to 0.897   SciPy 0.767 to 1.000   tconfint_mean 0.779 to inf
#   smaller   proportion_confint 0.767 to 1.000   SciPy 0.000 to 0.897   tconfint_mean -inf to 0.901
#
# Ends with 0 while that is so, with 1 once statsmodels behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  statsmodels==0.15.0 scipy==1.17.1 pandas==3.1.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy
from scipy.stats import binomtest
from statsmodels.stats.proportion import binom_test, proportion_confint
from statsmodels.stats.rates import confint_poisson
from statsmodels.stats.weightstats import DescrStatsW

warnings.simplefilter("error")
HITS, ALL = 84, 100
METHODS = "normal", "agresti_coull", "beta", "wilson", "jeffreys", "binom_test"
hits = numpy.repeat([1, 0], [HITS, ALL - HITS])


def show(name, bounds):
    low, high = (float(bound) for bound in bounds)
    print(f"  {name:32} {low:6.3f} to {high:6.3f}")
    return low, high


def look(side, of_scipy):
    print(side)
    rates = [
        show(f"proportion_confint {method}", proportion_confint(HITS, ALL, method=method, alternative=side))
        for method in METHODS
    ]
    poisson = show("confint_poisson", confint_poisson(HITS, ALL, method="score", alternative=side))
    mean = show("tconfint_mean", DescrStatsW(hits).tconfint_mean(alternative=side))
    other = show("SciPy", binomtest(HITS, ALL, alternative=of_scipy).proportion_ci())
    return rates, poisson, mean, other


larger, smaller = look("larger", "greater"), look("smaller", "less")
rejected = {rate: float(binom_test(HITS, ALL, prop=rate, alternative="larger")) for rate in (0.75, 0.95)}
print("p of binom_test, larger:", {rate: round(p, 4) for rate, p in rejected.items()})
as_described = (
    all(low == 0 and 0.88 < high < 0.91 for low, high in larger[0])
    and all(high == 1 and 0.76 < low < 0.79 for low, high in smaller[0])
    and larger[1][0] == 0
    and larger[2][1] == float("inf")
    and larger[3][1] == 1
    and abs(larger[3][0] - smaller[0][METHODS.index("beta")][0]) < 1e-6
    and rejected[0.75] < 0.05 < rejected[0.95]
)
sys.exit(not as_described)
EOF
env/bin/python look.py
