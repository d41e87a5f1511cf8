#!/usr/bin/env bash
# scikit-learn 1.9.1's fetch_lfw_people does not see a picture that was added after its first call.
#
# Valid input: a folder in the layout that scikit-learn itself downloads (lfw_home/lfw_funneled with a
# folder per person, and the three pair lists beside it, which it wants to exist although people are
# read and not pairs), three people with two pictures each. Seen: the first call gives six images. With
# a picture more in the folder, the same call gives six again, and no warning; the folder's own count is
# seven. With another `resize` it gives seven: the images are cached by joblib under the call's
# arguments, in which the folder's content has no part. So a folder that was completed, or whose broken
# picture was replaced, is read as it was.
#
# Ends with 0 while that is so, with 1 once scikit-learn behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 pillow==13.0.0
unset PYTHONPATH

cat > look.py << 'EOF'
import pathlib
import sys
import warnings

import numpy
from PIL import Image
from sklearn.datasets import fetch_lfw_people

home = pathlib.Path("data/lfw_home")
people = ("Ann_Example", "Bob_Example", "Cid_Example")


def add(person, number):
    folder = home / "lfw_funneled" / person
    folder.mkdir(parents=True, exist_ok=True)
    pixels = numpy.random.default_rng(number).integers(0, 256, (250, 250, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).save(folder / f"{person}_{number:04d}.jpg")


def read(resize):
    found = fetch_lfw_people(data_home="data", download_if_missing=False, resize=resize)
    return len(found.images)


for person in people:
    add(person, 1)
    add(person, 2)
for name in ("pairsDevTrain.txt", "pairsDevTest.txt", "pairs.txt"):
    (home / name).touch()
warnings.simplefilter("error")
first = read(0.5)
add(people[0], 3)
there = len(list(home.rglob("*.jpg")))
same, other = read(0.5), read(0.4)
print(f"first call: {first} images; then the folder has {there}")
print(f"same call again: {same}; with another resize: {other}")
sys.exit((first, there, same, other) != (6, 7, 6, 7))
EOF
env/bin/python look.py
