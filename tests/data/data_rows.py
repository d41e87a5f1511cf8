"""The row of `data` for tiny folders, but for where they lie."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "image_size": 16,
    "identities": 3,
    "min_images": 5,
    "test_fraction": 0.1,
    "val_fraction": 0.1,
    "public_images": None,
    "public_max_images": None,
    "public_above": None,
    "seed": 0,
}
