"""CelebA's yes/no attributes of drawn people."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmid.data.drawing.vectors import ATTRIBUTES, BALD_BELOW, GLASSES_ABOVE, STUBBLE_ABOVE

GROUPS: dict[str, tuple[str, ...]] = {
    "sex": ("masculinity",),
    "age": ("age",),
    "skin": ("skin_darkness", "skin_undertone", "blush"),
    "hair colour": ("hair_lightness", "hair_hue"),
    "hair length": ("hair_amount", "hair_length"),
    "hair style": ("hair_volume", "hair_curl", "fringe", "parting", "hair_locks"),
    "face shape": ("face_width", "face_length", "jaw_width", "jaw_squareness", "ear_size"),
    "eyes": ("eye_spacing", "eye_size", "eye_openness", "eye_tilt"),
    "iris": ("iris_hue", "iris_lightness"),
    "brows": ("brow_thickness", "brow_height", "brow_tilt", "brow_darkness"),
    "nose": ("nose_width", "nose_length"),
    "mouth": ("mouth_width", "mouth_height", "lip_thickness", "lip_colour"),
    "beard": ("facial_hair", "beard_shape"),
    "glasses": ("glasses", "glasses_size", "glasses_roundness", "glasses_colour"),
}
"""Every entry of an identity vector, by the part of a face that it draws."""


def binary_attributes(identities: Tensor) -> dict[str, Tensor]:
    """CelebA's yes/no attributes of identities, by thresholds on their vectors.

    Args:
        identities: (N, len(ATTRIBUTES)) in [0, 1].

    Returns:
        From CelebA's attribute names, in its (alphabetical) order, to int64 (N,) in {-1, 1}.
    """
    who = dict(zip(ATTRIBUTES, identities.T, strict=True))
    bald = who["hair_amount"] < BALD_BELOW
    hairy = ~bald
    natural = hairy & (who["hair_hue"] >= 0.13) & (who["hair_hue"] < 0.87)
    grey = hairy & ((who["hair_hue"] < 0.13) & (who["hair_lightness"] > 0.3) | (who["age"] > 0.93))
    dark = who["hair_lightness"] < 0.17
    light = who["hair_lightness"] >= 0.72
    beard = who["facial_hair"] > STUBBLE_ABOVE
    marks = {
        "Bald": bald,
        "Bangs": hairy & (who["fringe"] > 0.7) & (who["hair_amount"] > 0.4),
        "Big_Lips": who["lip_thickness"] > 0.6,
        "Big_Nose": who["nose_width"] > 0.6,
        "Black_Hair": hairy & ~grey & dark & (who["hair_hue"] < 0.87),
        "Blond_Hair": natural & ~grey & light & (who["hair_hue"] < 0.65),
        "Brown_Hair": natural & ~grey & ~dark & ~light,
        "Bushy_Eyebrows": who["brow_thickness"] > 0.5,
        "Eyeglasses": who["glasses"] > GLASSES_ABOVE,
        "Goatee": beard & (who["beard_shape"] < 0.45),
        "Gray_Hair": grey,
        "Male": who["masculinity"] > 0.5,
        "Narrow_Eyes": who["eye_openness"] < 0.3,
        "No_Beard": ~beard,
        "Oval_Face": who["face_length"] - who["face_width"] > 0.1,
        "Pale_Skin": who["skin_darkness"] < 0.2,
        "Receding_Hairline": hairy & (who["hair_amount"] < 0.3),
        "Rosy_Cheeks": who["blush"] > 0.7,
        "Wavy_Hair": hairy & (who["hair_curl"] > 0.5),
        "Wearing_Lipstick": who["lip_colour"] > 0.6,
        "Young": who["age"] < 0.5,
    }
    return {name: mark.to(torch.int64) * 2 - 1 for name, mark in marks.items()}
