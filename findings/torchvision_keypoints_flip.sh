#!/usr/bin/env bash
# torchvision 0.29.1's v2 transforms give one picture two sets of landmarks, by the order of mirroring and resizing.
#
# Valid input: a face, its landmarks as tv_tensors.KeyPoints and a bounding box, through v2 transforms in two
# orders that give the same picture. Expected: the same landmarks, as the box has the same corners. Seen: a flip
# takes a landmark from x to width - 1 - x, as if a pixel's number were its middle, and a box's corner to width - x;
# resizing multiplies both, and a rotation turns both about width / 2, as if the number were the pixel's edge.
# So a face that was mirrored and then enlarged from 64 to 256 pixels has its landmarks 3 pixels beside those of the
# same picture mirrored afterwards, and one that was turned by 180 degrees has them one pixel beside those of both
# flips. At 256 pixels each lies 1.5 pixels left of the spot that it marks, and right of it where the face was
# mirrored last: who cuts or aligns faces by landmarks cuts mirrored ones otherwise, and distances of identities
# move with it. Flips and cuts alone are right.
#
#   64 to 32, mirror             pictures 0.0000 apart, boxes 0.0000, landmarks 0.5000
#   64 to 256, mirror            pictures 0.0000 apart, boxes 0.0000, landmarks 3.0000
#   turned by 180, or both flips pictures 0.0000 apart, boxes 0.0000, landmarks 1.0000
#   cut to 50, mirror            pictures 0.0000 apart, boxes 0.0000, landmarks 0.0000
#   at 256 pixels the spot is +1.50 from its landmark, mirrored -1.50
#
# Ends with 0 while that is so, with 1 once torchvision behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torchvision==0.29.1 torch==2.14.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

torch.manual_seed(0)
SIDE, POINTS = 64, [[20.0, 28.0], [43.0, 29.0], [31.0, 40.0]]
CANVAS = (SIDE, SIDE)
mirror, upside_down = v2.RandomHorizontalFlip(1), v2.RandomVerticalFlip(1)


def sample():
    """A face of noise, its landmarks, and a box whose corners are the same points."""
    picture = tv_tensors.Image(torch.rand(3, *CANVAS))
    landmarks = tv_tensors.KeyPoints(POINTS, canvas_size=CANVAS)
    box = tv_tensors.BoundingBoxes([POINTS[0] + POINTS[2]], format="XYXY", canvas_size=CANVAS)
    return picture, landmarks, box


def apart(one, other, given):
    """How far picture, landmarks and box of two orders are from each other."""
    pairs = zip(v2.Compose(one)(*given), v2.Compose(other)(*given), strict=True)
    return [float((a.double() - b.double()).abs().max()) for a, b in pairs]


def marked(size):
    """How far right of its landmark the marked spot is, resized, and then mirrored, too."""
    row = torch.arange(SIDE, dtype=torch.float32)
    x, y = POINTS[0]
    spot = torch.exp(-((row - x) ** 2 + (row[:, None] - y) ** 2) / 8).expand(3, -1, -1)
    found = []
    for steps in ([v2.Resize(size)], [v2.Resize(size), mirror]):
        picture, landmarks, _ = v2.Compose(steps)(tv_tensors.Image(spot), *sample()[1:])
        weights = picture[0].sum(0).double()
        middle = float((weights * torch.arange(size)).sum() / weights.sum())
        found.append(middle - float(landmarks[0, 0]))
    return found


orders = {
    "64 to 32, mirror": ([v2.Resize(32), mirror], [mirror, v2.Resize(32)]),
    "64 to 256, mirror": ([v2.Resize(256), mirror], [mirror, v2.Resize(256)]),
    "turned by 180, or both flips": ([v2.RandomRotation((180, 180))], [mirror, upside_down]),
    "cut to 50, mirror": ([v2.CenterCrop(50), mirror], [mirror, v2.CenterCrop(50)]),
}
seen = {}
for name, (one, other) in orders.items():
    picture, landmarks, box = seen[name] = apart(one, other, sample())
    print(f"{name:28} pictures {picture:.4f} apart, boxes {box:.4f}, landmarks {landmarks:.4f}")
left = {size: marked(size) for size in (32, 64, 256)}
for size, (resized, mirrored) in left.items():
    print(f"at {size:3} pixels the spot is {resized:+.2f} from its landmark,", end=" ")
    print(f"mirrored {mirrored:+.2f}")
moved = [round(landmarks, 4) for _, landmarks, _ in seen.values()]
as_described = (
    all(picture < 1e-5 and box < 1e-4 for picture, _, box in seen.values())
    and moved == [0.5, 3, 1, 0]
    and all(abs(off) < 0.01 for off in left[64])
    and all(abs(off - 1.5) < 0.01 for off in (left[256][0], -left[256][1]))
)
sys.exit(not as_described)
EOF
env/bin/python look.py
