#!/usr/bin/env bash
# torchmetrics 1.9.0 scores the same logits differently by how they are cut into batches.
#
# Valid input: logits of a detector and labels, given to BinaryAUROC and BinaryAccuracy in one `update`
# or in several. Logits are allowed and get a sigmoid, under which no order changes; expected: the same
# number for any batches. Seen: whether the sigmoid is taken is decided anew at each update, by whether a
# value of that batch lies outside [0, 1]. A batch whose logits happen to lie inside stays as it is: a
# logit of 0.2 counts as 0.2 there, and one of -1 as 0.27 elsewhere, so their order turns over. Four
# logits that tell all apart have an AUROC of 1 in one batch and 0.75 in two. So the score depends on the
# batch size and on the order of the rows. With the sigmoid taken before, all batches agree.
#
# Ends with 0 while that is so, with 1 once torchmetrics behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torchmetrics==1.9.0 torch==2.14.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys

import torch
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC


def score(metric, values, labels, size):
    for part, truth in zip(values.split(size), labels.split(size), strict=True):
        metric.update(part, truth)
    return round(float(metric.compute()), 4)


def by_hand(logits, labels):
    """The share of pairs in order, and of logits on the right side of 0."""
    apart = logits[labels == 1][:, None] - logits[labels == 0]
    area = (apart > 0).double().mean() + (apart == 0).double().mean() / 2
    right = ((logits > 0) == (labels == 1)).double().mean()
    return round(float(area), 4), round(float(right), 4)


few = torch.tensor([-1.0, 2.0, 0.1, 0.2]), torch.tensor([0, 1, 0, 1])
small = {size: score(BinaryAUROC(), *few, size) for size in (4, 2)}
print(f"four logits: AUROC by hand {by_hand(*few)[0]}, one batch {small[4]}, two {small[2]}")

torch.manual_seed(0)
labels = torch.arange(400) % 2
logits = torch.randn(400) + labels - 0.5
area, right = by_hand(logits, labels)
print(f"400 logits, by hand:  AUROC {area}, accuracy {right}")
seen, before = {}, {}
for size in (400, 4, 2, 1):
    seen[size], before[size] = (
        tuple(score(metric(), values, labels, size) for metric in (BinaryAUROC, BinaryAccuracy))
        for values in (logits, logits.sigmoid())
    )
    print(
        f"batches of {size:3}:       AUROC {seen[size][0]}, accuracy {seen[size][1]};",
        f"sigmoid before: {before[size][0]}, {before[size][1]}",
    )


def near(score):
    return abs(score[0] - area) < 5e-4 and abs(score[1] - right) < 5e-4


as_described = (
    small == {4: 1.0, 2: 0.75}
    and near(seen[400])
    and seen[1][0] < area - 0.01
    and all(abs(seen[size][1] - right) > 1e-3 for size in (4, 2, 1))
    and all(near(score) for score in before.values())
)
sys.exit(not as_described)
EOF
env/bin/python look.py
