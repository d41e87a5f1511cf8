#!/usr/bin/env bash
# datasets 5.2.0 stores a picture as it was before something was drawn on it.
#
# Valid input: pictures that PIL opened from files and that were then changed in place, as ImageDraw, paste
# and thumbnail do it: eyes covered before faces are handed on, or a trigger laid on training pictures. They
# go into Dataset.from_dict, or come out of `map` over a folder of pictures. Expected: the picture as
# given. Seen: a picture that still knows the file that it was opened from is stored as this file's path. The
# eyes are back, also after save_to_disk, and thumbnail's 32 x 32 pixels are 64 x 64 again, without a word. What
# else `map` writes down, here the mean of the covered picture, is kept and belongs to no picture. The
# same function over the same pictures as bytes keeps what was drawn, and so does a copy (`copy`, `resize`).
# So a set handed on shows the faces, and a model trained on it never saw the trigger.
#
#   given                   eyes covered in 3 of 3
#   from_dict               eyes covered in 0 of 3
#   map over a folder       eyes covered in 0 of 3
#   map on a copy           eyes covered in 3 of 3
#   map over bytes          eyes covered in 3 of 3
#   mean that map wrote 160.2, of the picture beside it 177.5
#
# Ends with 0 while that is so, with 1 once datasets behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  datasets==5.2.0 pillow==13.0.0 numpy==2.4.6 pyarrow==26.0.1
unset PYTHONPATH
export HF_HOME="$place/home" HF_HUB_OFFLINE=1

cat > look.py << 'EOF'
import pathlib
import sys

import numpy
from datasets import Dataset, Image, disable_progress_bars, load_dataset, load_from_disk
from PIL import Image as Pictures
from PIL import ImageDraw

disable_progress_bars()
EYES = (12, 20, 51, 29)
generator = numpy.random.default_rng(0)
folder = pathlib.Path("faces")
files = [folder / person / "0.png" for person in ("ada", "bea", "cyd")]
for file in files:
    file.parent.mkdir(parents=True)
    Pictures.fromarray(generator.integers(100, 256, (64, 64, 3), dtype=numpy.uint8)).save(file)


def covered(picture):
    ImageDraw.Draw(picture).rectangle(EYES, fill=0)
    return picture


def by_drawing(row):
    picture = covered(row["image"])
    return {"image": picture, "mean": float(numpy.asarray(picture).mean())}


def on_a_copy(row):
    return {"image": covered(row["image"].copy())}


def smaller(row):
    row["image"].thumbnail((32, 32))
    return row


def hidden(pictures):
    """Of how many pictures the eyes are covered."""
    left, top, right, bottom = EYES
    eyes = [numpy.asarray(one)[top : bottom + 1, left : right + 1] for one in pictures]
    return sum(not part.any() for part in eyes)


given = [covered(Pictures.open(file)) for file in files]
of_list = Dataset.from_dict({"image": given})
of_folder = load_dataset("imagefolder", data_dir=str(folder), split="train")
rows = [{"image": {"bytes": file.read_bytes(), "path": None}} for file in files]
of_bytes = Dataset.from_list(rows).cast_column("image", Image())
drawn = of_folder.map(by_drawing)
drawn.save_to_disk("drawn")
seen = {
    "given": hidden(given),
    "from_dict": hidden(of_list["image"]),
    "map over a folder": hidden(drawn["image"]),
    "the same, save_to_disk": hidden(load_from_disk("drawn")["image"]),
    "map on a copy": hidden(of_folder.map(on_a_copy)["image"]),
    "map over bytes": hidden(of_bytes.map(by_drawing)["image"]),
}
for name, count in seen.items():
    print(f"{name:23} eyes covered in {count} of 3")
sizes = [of.map(smaller)[0]["image"].size for of in (of_folder, of_bytes)]
print("thumbnail(32, 32): over a folder", sizes[0], "over bytes", sizes[1])
means = drawn[0]["mean"], float(numpy.asarray(drawn[0]["image"]).mean())
print(f"mean that map wrote {means[0]:.1f}, of the picture beside it {means[1]:.1f}")
as_described = (
    list(seen.values()) == [3, 0, 0, 0, 3, 3]
    and sizes == [(64, 64), (32, 32)]
    and means[1] > means[0] + 10
)
sys.exit(not as_described)
EOF
env/bin/python look.py
