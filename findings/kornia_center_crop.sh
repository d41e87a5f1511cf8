#!/usr/bin/env bash
# kornia 0.9.0's center_crop blurs a picture where an odd number of pixels goes; CenterCrop of the same
# package cuts.
#
# Valid input: float pictures of 299 x 299, cropped to 224 x 224, so that 75 pixels go. Expected: pixels of
# the picture, one more lost on one side than on the other, as with CenterCrop. Seen:
# kornia.geometry.transform.center_crop lays the crop half a pixel off both ways and interpolates: every
# value is the mean of four neighbours. Noise keeps half of its deviation, so an adversarial change
# of single pixels is weakened, and a crop that was meant to cut looks like a defence. Of 298 or 300 pixels
# the function cuts, too.
#
# Ends with 0 while that is so, with 1 once kornia behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  kornia==0.9.0 kornia_rs==0.2.0 torch==2.14.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys

import torch
from kornia.augmentation import CenterCrop
from kornia.geometry.transform import center_crop

KEPT = 224
torch.manual_seed(0)


def inside(crop, picture):
    """Whether the crop is a cut of the picture, at the middle or a pixel beside it."""
    middle = (picture.shape[-1] - KEPT) // 2
    places = [slice(start, start + KEPT) for start in (middle - 1, middle, middle + 1)]
    return any(
        torch.allclose(crop, picture[..., rows, columns], atol=1e-3)
        for rows in places
        for columns in places
    )


as_described = True
for size in (298, 299, 300):
    picture = torch.rand(1, 3, size, size)
    by_function = center_crop(picture, (KEPT, KEPT))
    by_class = CenterCrop(KEPT)(picture)
    low = (size - KEPT) // 2
    near, far = slice(low, low + KEPT), slice(low + 1, low + 1 + KEPT)
    mean = sum(picture[..., rows, columns] for rows in (near, far) for columns in (near, far)) / 4
    off = float((by_function - mean).abs().max())
    print(
        f"{size} pixels: center_crop cuts: {inside(by_function, picture)}, CenterCrop cuts:",
        f"{inside(by_class, picture)}; deviation {float(picture.std()):.3f} becomes",
        f"{float(by_function.std()):.3f} and {float(by_class.std()):.3f}",
    )
    as_described = as_described and inside(by_class, picture)
    if size % 2:
        print(f"  center_crop is at most {off:.6f} from the mean of four neighbours")
        halved = abs(float(by_function.std() / picture.std()) - 0.5) < 0.01
        as_described = as_described and off < 1e-3 and halved
        as_described = as_described and not inside(by_function, picture)
    else:
        as_described = as_described and inside(by_function, picture)
sys.exit(not as_described)
EOF
env/bin/python look.py
