#!/usr/bin/env bash
# ART 1.20.1's MIFace ends after one step for every person whom the classifier does not yet name with 1 %.
#
# Valid input: a softmax classifier of faces that is right on all of its own pictures, and MIFace as it
# stands, from the zero picture that it starts with. Expected: the attack climbs until the person's probability
# has reached `threshold` (0.99), its "threshold for descent stopping criterion", or grows no more.
# Seen: it goes on while 1 - p is AT MOST 0.99, and ends otherwise. Among 400 people a person has less
# than 1 % after the first step; the attack hands that picture back without a word, and the classifier
# names the person with 0.13 % at most. With threshold=1.0 the same attack gets more than 99 % for each. Among
# 10 people it gets there, too, and goes on to max_iter behind its threshold. So the attack fails the
# more, the more people a classifier knows or the flatter its answers are: a defence that only lowers
# confidences, or no more than more classes, looks safe.
#
#   10 people, 100% right, threshold as it stands: 1000 steps, named with 0.9936 to 0.9960
#   400 people, 100% right, threshold as it stands: 1 steps, named with 0.0000 to 0.0013
#   400 people, 100% right, threshold 1.0: 1000 steps, named with 0.9972 to 0.9981
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
from art.attacks.inference.model_inversion import MIFace
from art.estimators.classification import SklearnClassifier
from sklearn.linear_model import LogisticRegression

ATTACKED, STEPS = numpy.arange(5), 1000


def classifier(people):
    """A linear softmax classifier of four pictures a person, and their share that it names right."""
    generator = numpy.random.default_rng(0)
    labels = numpy.repeat(numpy.arange(people), 4)
    faces = generator.uniform(0.2, 0.8, (people, 64))[labels]
    faces = numpy.clip(faces + generator.normal(0, 0.05, faces.shape), 0, 1)
    model = LogisticRegression(C=2, max_iter=300).fit(faces, labels)
    return model, model.score(faces, labels)


def attack(model, **options):
    """How many steps a person took, and with which probabilities the found pictures are named."""
    target = SklearnClassifier(model, clip_values=(0, 1))
    taken, gradient = [], target.class_gradient
    target.class_gradient = lambda *given: taken.append(1) or gradient(*given)
    found = MIFace(target, max_iter=STEPS, verbose=False, **options).infer(None, ATTACKED)
    return len(taken) / len(ATTACKED), model.predict_proba(found)[ATTACKED, ATTACKED]


seen = {}
for people in (10, 400):
    model, right = classifier(people)
    for options in ({}, {"threshold": 1.0}):
        steps, named = seen[people, len(options)] = attack(model, **options)
        print(
            f"{people} people, {right:.0%} right, threshold {options.get('threshold', 'as it stands')}:",
            f"{steps:g} steps, named with {named.min():.4f} to {named.max():.4f}",
        )
as_described = (
    all(seen[key][0] == STEPS and seen[key][1].min() > 0.99 for key in seen if key != (400, 0))
    and seen[400, 0][0] == 1
    and seen[400, 0][1].max() < 0.01
)
sys.exit(not as_described)
EOF
env/bin/python look.py
