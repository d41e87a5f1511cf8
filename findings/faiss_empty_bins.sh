#!/usr/bin/env bash
# FAISS 1.15.1 does not find a picture's own histogram by METRIC_Canberra or METRIC_JensenShannon if a bin is empty.
#
# Valid input: histograms of 200 pictures (shares that sum to 1) in an IndexFlat, each sought in it. Both metrics are
# documented as those of scipy.spatial.distance, where a bin that is empty twice adds nothing. Expected: first the
# picture itself, at distance 0, then SciPy's neighbours (its Jensen-Shannon distance is the root of FAISS's). Seen: so
# it is without empty bins. One empty bin in each picture, and neither names the picture itself. A bin is 0/0 for
# Canberra where both have it empty, and 0 times infinity for Jensen-Shannon where one has it empty; the distance is
# then NaN, which is smaller than nothing, so that the pair is left out without a word. Jensen-Shannon names -1
# for everybody; Canberra names those who share no empty bin, with right distances: with 8 empty bins of 64 the first
# named is the 45th nearest, and with 32 it names nobody. BrayCurtis is right, and with 1e-30 added to every bin so are
# the other two. Who looks for copies of training faces by such features (local binary patterns, colours, what a ReLU
# leaves, a softmax that underflows) is told that there are none.
#
#   empty bins  metric          nobody  itself first  SciPy's five  place of the first, by SciPy
#      0 of 64  Canberra            0%          100%          100%           1.0
#      0 of 64  JensenShannon       0%          100%          100%           1.0
#      0 of 64  BrayCurtis          0%          100%          100%           1.0
#      1 of 64  Canberra            0%            0%            0%           2.2
#      1 of 64  JensenShannon     100%            0%            0%           nan
#      1 of 64  BrayCurtis          0%          100%          100%           1.0
#      8 of 64  Canberra            0%            0%            0%          45.4
#      8 of 64  JensenShannon     100%            0%            0%           nan
#      8 of 64  BrayCurtis          0%          100%          100%           1.0
#     32 of 64  Canberra          100%            0%            0%           nan
#     32 of 64  JensenShannon     100%            0%            0%           nan
#     32 of 64  BrayCurtis          0%          100%          100%           1.0
#
# Ends with 0 while that is so, with 1 once FAISS behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  faiss-cpu==1.15.1 scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys

import faiss
import numpy
from scipy.spatial.distance import cdist

PICTURES, BINS, VALUES = 200, 64, 4096
generator = numpy.random.default_rng(0)


def draw(empty):
    """Histograms in which `empty` bins, others in each picture, have no value; float32, as FAISS takes them."""
    rows = []
    for _ in range(PICTURES):
        chance = generator.gamma(2, size=BINS) + 0.1
        chance[generator.permutation(BINS)[:empty]] = 0
        counts = generator.multinomial(VALUES - BINS, chance / chance.sum()) + (chance > 0)
        rows.append(counts / counts.sum())
    return numpy.array(rows, dtype=numpy.float32)


def look(name, rows):
    """Of the answers, the share without a picture, with the picture itself first, and with SciPy's five distances."""
    index = faiss.IndexFlat(BINS, getattr(faiss, f"METRIC_{name}"))
    index.add(rows)
    distances, found = index.search(rows, 5)
    true = cdist(rows.astype(float), rows.astype(float), name.lower())
    if name == "JensenShannon":
        true = true**2
    nearest = numpy.sort(true, axis=1)[:, :5]
    nobody = float((found == -1).all(axis=1).mean())
    itself = float((found[:, 0] == numpy.arange(PICTURES)).mean())
    right = float((abs(distances - nearest) < 1e-4).all(axis=1).mean())
    named = found[:, 0] != -1
    nearer = true < true[numpy.arange(PICTURES), found[:, 0]][:, None]
    place = 1 + float(nearer[named].sum(axis=1).mean()) if named.any() else float("nan")
    return nobody, itself, right, place


print("empty bins  metric          nobody  itself first  SciPy's five  place of the first, by SciPy")
seen = {}
for empty in (0, 1, 8, 32):
    rows = draw(empty)
    for name in ("Canberra", "JensenShannon", "BrayCurtis"):
        seen[empty, name] = nobody, itself, right, place = look(name, rows)
        print(f"{empty:4d} of {BINS}  {name:14} {nobody:7.0%} {itself:13.0%} {right:13.0%} {place:13.1f}")
well = (0, 1, 1, 1)
as_described = (
    all(seen[0, name] == well for name in ("Canberra", "JensenShannon"))
    and all(seen[empty, "BrayCurtis"] == well for empty in (0, 1, 8, 32))
    and all(seen[empty, "JensenShannon"][:3] == (1, 0, 0) for empty in (1, 8, 32))
    and all(seen[empty, "Canberra"][:3] == (0, 0, 0) for empty in (1, 8))
    and 20 < seen[8, "Canberra"][3] < 80
    and seen[32, "Canberra"][:3] == (1, 0, 0)
)
sys.exit(not as_described)
EOF
env/bin/python look.py
