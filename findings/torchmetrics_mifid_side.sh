#!/usr/bin/env bash
# torchmetrics 1.9.0's MIFID does not see that every generated face is a copy of a training face.
#
# Valid input: features of 400 training faces (mean 0, deviation 1), and generators that remember some of them.
# MemorizationInformedFrechetInceptionDistance is FID divided by the mean cosine distance to the nearest face of the
# other set, where that is small. Expected, as the metric's authors (Bai et al., KDD 2021) define it: the
# mean is over the generated faces, so that copies are punished. Seen: it is over the real ones: how far each is from
# the nearest generated one. A generator that knows nothing but 200 of 400 training faces by heart has plain FID;
# 400 copies among 1,600 faces, a quarter, multiply it by 10^14, and where all faces are copies the score
# is 0 or nearly, the best there is. With the two sets exchanged the numbers are as defined. Who ranks priors or
# reconstructions by it finds the one that leaks most to be clean.
#
#   generated                    copied       FID     MIFID   defined exchanged
#   new faces                        0%      5.22      5.22      5.22      5.22
#   half of the training faces     100%      3.04      3.04  3.04e+14  3.04e+14
#   the same, twice each           100%      3.04      3.04  3.04e+14  3.04e+14
#   all of them, and 1,200 new      25%      2.02  2.02e+14      2.02      2.02
#   all of them                    100%         0         0         0         0
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
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance


class Features(nn.Module):
    """The rows as they are given: no network is needed here."""

    num_features = 64

    def forward(self, rows):
        return rows


def score(metric, real, generated):
    metric = metric(feature=Features())
    metric.set_dtype(torch.float64)
    metric.update(real, real=True)
    metric.update(generated, real=False)
    return float(metric.compute())


def nearest(rows, others):
    """Cosine distance of each row to the nearest of the others."""
    rows, others = (nn.functional.normalize(one, dim=1) for one in (rows, others))
    return (1 - (rows @ others.T).abs()).amin(dim=1)


def by_hand(fid, rows, others):
    distance = float(nearest(rows, others).mean())
    return fid / (distance + 1e-14) if distance < 0.1 else fid


def near(one, two):
    return abs(one - two) <= 1e-2 * abs(two)


generator = torch.Generator().manual_seed(0)


def draw(count):
    return torch.randn(count, 64, generator=generator, dtype=torch.float64)


training = draw(400)
given = {
    "new faces": draw(400),
    "half of the training faces": training[:200],
    "the same, twice each": training[:200].repeat(2, 1),
    "all of them, and 1,200 new": torch.cat([training, draw(1200)]),
    "all of them": training.flip(0),
}
print(f"{'generated':28} {'copied':>6} {'FID':>9} {'MIFID':>9} {'defined':>9} {'exchanged':>9}")
seen, over_real = {}, []
for name, faces in given.items():
    copied = float((nearest(faces, training) < 1e-9).double().mean())
    fid = score(FrechetInceptionDistance, training, faces)
    mifid = score(MemorizationInformedFrechetInceptionDistance, training, faces)
    other = score(MemorizationInformedFrechetInceptionDistance, faces, training)
    defined = by_hand(fid, faces, training)
    seen[name] = copied, fid, mifid, defined, other
    over_real.append(near(mifid, by_hand(fid, training, faces)))
    print(f"{name:28} {copied:6.0%} {fid:9.3g} {mifid:9.3g} {defined:9.3g} {other:9.3g}")


new, half, twice, among, all_ = seen.values()
as_described = (
    all(over_real[:-1])
    and new[0] == 0
    and all(near(score, new[1]) for score in new[2:])
    and all(near(one[2], one[1]) for one in (half, twice))  # as if nothing was copied
    and all(one[0] == 1 and min(one[3:]) > 1e6 for one in (half, twice))
    and among[0] == 0.25
    and among[2] > 1e6
    and all(near(score, among[1]) for score in among[3:])
    and all_[0] == 1
    and all_[2] < 10
)
sys.exit(not as_described)
EOF
env/bin/python look.py
