#!/usr/bin/env bash
# Pillow 13.0.0 makes a 16-bit grey picture one of bytes, low beside high ones, where it is rotated with BILINEAR.
#
# Valid input: 16-bit grey pictures (mode "I;16", as a 16-bit PNG has them), rotated or moved with
# Resampling.BILINEAR or BICUBIC. Expected: 16-bit values, as `resize` of the same picture gives, or "image has wrong
# mode", as `reduce` and the filters say. Seen: a picture that is 40000 everywhere becomes 110 where it is moved by half a
# pixel; no value is above 255, the mode stays "I;16", and nothing is said. A row of 16-bit numbers is read as one of
# bytes, so what comes out is the left half of the picture, the low byte of each number beside its high one, which in a
# face looks like noise. NEAREST, which is taken without an argument, is right, and so is mode "I". So an
# augmentation that turns depth pictures works until somebody asks for the smoother way.
#
#   40000 everywhere, moved by half a pixel: NEAREST 40000..40000, BILINEAR 110..110, BICUBIC 110..110, mode I 40000..40000
#   40000 everywhere, turned by 10 degrees:  NEAREST 40000..40000, BILINEAR 64..155, BICUBIC 64..155, mode I 40000..40000
#
# Ends with 0 while that is so, with 1 once Pillow behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import numpy
from PIL import Image

warnings.simplefilter("error")
SIZE, WAYS = (64, 64), Image.Resampling
flat = Image.fromarray(numpy.full(SIZE, 40000, "uint16"))
noise = Image.fromarray(numpy.random.default_rng(0).integers(0, 65536, SIZE).astype("uint16"))
assert flat.mode == noise.mode == "I;16"


def move(picture, way):
    return picture.transform(SIZE, Image.Transform.AFFINE, (1, 0, 0.5, 0, 1, 0), way)


def turn(picture, way):
    return picture.rotate(10, way)


def middle(picture):
    """The darkest and the lightest value away from the edges, where nothing is filled in."""
    values = numpy.asarray(picture)[24:40, 24:40]
    return int(values.min()), int(values.max())


as_described = True
for name, change in (("moved by half a pixel", move), ("turned by 10 degrees", turn)):
    smooth = [change(flat, way) for way in (WAYS.BILINEAR, WAYS.BICUBIC)]
    seen = {
        "NEAREST": middle(change(flat, WAYS.NEAREST)),
        "BILINEAR": middle(smooth[0]),
        "BICUBIC": middle(smooth[1]),
        "mode I": middle(change(flat.convert("I"), WAYS.BILINEAR)),
    }
    print(f"40000 everywhere, {name}:", end=" ")
    print(", ".join(f"{way} {low}..{high}" for way, (low, high) in seen.items()))
    as_described = (
        as_described
        and seen["NEAREST"] == seen["mode I"] == (40000, 40000)
        and all(one.mode == "I;16" and middle(one)[1] < 256 for one in smooth)
    )
resized = middle(flat.resize((128, 128), WAYS.BILINEAR))
print("40000 everywhere, resized: BILINEAR {}..{}".format(*resized))
try:
    flat.reduce(2)
    refused = False
except ValueError as error:
    print("reduce:", error)
    refused = True
as_bytes = numpy.asarray(noise).astype("<u2").view("uint8")[:, : SIZE[0]]
as_bytes = Image.fromarray(numpy.ascontiguousarray(as_bytes))
same = all(
    (numpy.asarray(change(noise, way)) == numpy.asarray(change(as_bytes, way))).all()
    for change in (move, turn)
    for way in (WAYS.BILINEAR, WAYS.BICUBIC)
)
print("noise becomes what its first 64 bytes a row become:", same)
sys.exit(not (as_described and resized == (40000, 40000) and refused and same))
EOF
env/bin/python look.py
