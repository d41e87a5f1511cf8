#!/usr/bin/env bash
# ART 1.20.1's ReverseSigmoid makes the least likely person of all the classifier's answer.
#
# Valid input: SklearnClassifier of 10, 100 or 300 people, with and without ReverseSigmoid as it stands, a
# defence that disturbs probabilities so that a model can't be stolen or inverted by them. Expected, as its
# authors (Lee et al., 2018) mean it: other probabilities and the same person, so that accuracy stays. Seen: what is
# taken from a probability p is sigmoid(0.1 * logit(p)) - 0.5, which near 0 is negative and large. A person
# with p = 1e-9 gets 0.39, more than one who had 0.37. So every answer below 0.37 is in danger that lies
# beside a person who is surely not it, and then the defended classifier names that one: in all cases that changed, the
# last of the ranking. Among ten people no answer changes, among hundreds one in six does. A study of
# utility that has few classes sees a free defence; one of many takes the loss for the price of hiding probabilities.
#
#    10 people: accuracy 99.0% without, 99.0% with it;  0.0% of the answers are another
#   100 people: accuracy 91.2% without, 89.3% with it;  4.6% of the answers are another, 100% of them the last of all
#   300 people: accuracy 84.5% without, 77.9% with it; 16.1% of the answers are another, 100% of them the last of all
#   0.37, 0.32, 0.31 and 1e-9 become 0.266, 0.235, 0.229, 0.270
#
# Ends with 0 while that is so, with 1 once ART behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  adversarial-robustness-toolbox==1.20.1 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6 packaging==26.4
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy

warnings.simplefilter("ignore")  # ART's, that torch is not there
from art.defences.postprocessor import ReverseSigmoid
from art.estimators.classification import SklearnClassifier
from sklearn.linear_model import LogisticRegression

EACH = 30


def look(people):
    """Accuracy without and with it, the share of other answers, and how many of these were last."""
    generator = numpy.random.default_rng(0)
    means, labels = generator.random((people, 64)), numpy.repeat(numpy.arange(people), EACH)

    def pictures():
        return means[labels] + 0.5 * generator.standard_normal((len(labels), 64))

    model = LogisticRegression(max_iter=300).fit(pictures(), labels)
    asked = pictures()
    before = SklearnClassifier(model).predict(asked)
    after = SklearnClassifier(model, postprocessing_defences=ReverseSigmoid()).predict(asked)
    assert numpy.allclose(after.sum(1), 1)
    truth, found = before.argmax(1), after.argmax(1)
    other = truth != found
    is_last = found == before.argmin(1)
    right = float((truth == labels).mean()), float((found == labels).mean())
    share = float(other.mean())
    last = float(is_last[other].mean()) if other.any() else None
    highest = float(before.max(1)[other].max()) if other.any() else 0.0
    print(
        f"{people:3} people: accuracy {right[0]:.1%} without, {right[1]:.1%} with it;",
        f"{share:5.1%} of the answers are another" + (f", {last:.0%} of them the last of all" if last else ""),
    )
    return *right, share, last, highest


few, hundred, many = (look(people) for people in (10, 100, 300))
row = numpy.array([[0.37, 0.32, 0.31 - 1e-9, 1e-9]])
changed = ReverseSigmoid()(row)[0]
print("0.37, 0.32, 0.31 and 1e-9 become", ", ".join(f"{p:.3f}" for p in changed))
as_described = (
    few[:2] == (few[0],) * 2
    and few[2] == 0
    and 0.02 < hundred[2] < many[2]
    and many[2] > 0.1
    and many[1] < many[0] - 0.03
    and all(one[3] > 0.99 and one[4] < 0.376 for one in (hundred, many))
    and changed.argmax() == 3
)
sys.exit(not as_described)
EOF
env/bin/python look.py
