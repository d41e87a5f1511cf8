#!/usr/bin/env bash
# datasets 5.2.0 takes a person's name for a split: dev_rao's training pictures become "validation".
#
# Valid input: one folder per person in train and in test, as load_dataset("imagefolder") wants it, four
# people, one of them named dev_rao. Expected: two splits, train and test. Seen: a third, "validation", with
# all pictures of dev_rao, those of train and those of test, which stay there, too: a folder whose name has
# dev or val as a word between underscores, blanks, dots, hyphens or digits counts as a split. A script
# that takes "validation" where there is one then chooses its model by pictures that it was trained on, and
# by the test's. Without train and test, four folders of people give one split "validation" with one person
# in it, and the other three are gone without a word. Dev_Rao is no split, nor is cy_rao.
#
#   name      train       {'ann_lee': 2, 'bob_ray': 2, 'dev_rao': 2, 'zoe_poe': 2}
#   name      validation  {'dev_rao': 4}
#   name      test        {'ann_lee': 2, 'bob_ray': 2, 'dev_rao': 2, 'zoe_poe': 2}
#   name      of validation in train, too: 2
#   flat      validation  {'dev_rao': 2}
#
# Ends with 0 while that is so, with 1 once datasets behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  datasets==5.2.0 fsspec==2026.9.0 pillow==13.0.0 numpy==2.4.6 pyarrow==26.0.1
unset PYTHONPATH
export HF_HOME="$place/home" HF_HUB_OFFLINE=1

cat > look.py << 'EOF'
import pathlib
import sys

from datasets import disable_progress_bars, load_dataset
from PIL import Image

disable_progress_bars()


def splits(folder, *people, parts=("train", "test")):
    """How many pictures each split has by person, of two pictures a person and part."""
    for place, part in enumerate(parts):
        for row, person in enumerate(people):
            for number in range(2):
                picture = Image.new("RGB", (8, 8), (20 * row, 20 * place, number))
                file = pathlib.Path(folder, part, person, f"{number}.png")
                file.parent.mkdir(parents=True, exist_ok=True)
                picture.save(file)
    found, known = {}, {}
    for name, rows in load_dataset("imagefolder", data_dir=folder).items():
        colours = [row["image"].getpixel((0, 0)) for row in rows]
        known[name] = set(colours)
        whose = [people[colour[0] // 20] for colour in colours]
        found[name] = {person: whose.count(person) for person in sorted(set(whose))}
    shared = len(known.get("validation", set()) & known.get("train", set()))
    for name, count in found.items():
        print(f"{folder:9} {name:11}", count)
    print(f"{folder:9} of validation in train, too: {shared}")
    return found, shared


others = ("ann_lee", "bob_ray", "zoe_poe")
plain = {person: 2 for person in others}
two = splits("two", *others, "cy_rao")
name = splits("name", *others, "dev_rao")
capitals = splits("capitals", *others, "Dev_Rao")
flat = splits("flat", *others, "dev_rao", parts=("",))
as_described = (
    two == ({part: plain | {"cy_rao": 2} for part in ("train", "test")}, 0)
    and capitals == ({part: plain | {"Dev_Rao": 2} for part in ("train", "test")}, 0)
    and name[0].pop("validation") == {"dev_rao": 4}
    and name == ({part: plain | {"dev_rao": 2} for part in ("train", "test")}, 2)
    and flat == ({"validation": {"dev_rao": 2}}, 0)
)
sys.exit(not as_described)
EOF
env/bin/python look.py
