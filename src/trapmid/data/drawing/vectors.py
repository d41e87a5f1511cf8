"""The two vectors of which a face is a function: who it shows, and how this image shows them.

Every identity and every image draws from a random stream of its own, so a row never depends on
which others are drawn with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

ATTRIBUTES: tuple[str, ...] = (
    "masculinity",
    "age",
    "skin_darkness",
    "skin_undertone",
    "hair_lightness",
    "hair_hue",
    "hair_amount",
    "hair_length",
    "hair_volume",
    "hair_curl",
    "fringe",
    "parting",
    "hair_locks",
    "face_width",
    "face_length",
    "jaw_width",
    "jaw_squareness",
    "eye_spacing",
    "eye_size",
    "eye_openness",
    "eye_tilt",
    "iris_hue",
    "iris_lightness",
    "brow_thickness",
    "brow_height",
    "brow_tilt",
    "brow_darkness",
    "nose_width",
    "nose_length",
    "mouth_width",
    "mouth_height",
    "lip_thickness",
    "lip_colour",
    "facial_hair",
    "beard_shape",
    "glasses",
    "glasses_size",
    "glasses_roundness",
    "glasses_colour",
    "ear_size",
    "blush",
)
"""Names of an identity vector's entries, in order; every entry lies in [0, 1]."""

NUISANCES: tuple[str, ...] = (
    "roll",
    "yaw",
    "pitch",
    "scale",
    "shift_x",
    "shift_y",
    "light_angle",
    "light_strength",
    "exposure",
    "warmth",
    "smile",
    "mouth_open",
    "eye_closure",
    "brow_raise",
    "gaze_x",
    "gaze_y",
    "background_hue_a",
    "background_light_a",
    "background_hue_b",
    "background_light_b",
    "background_saturation",
    "background_angle",
    "shape_x",
    "shape_y",
    "shape_size",
    "clothing_hue",
    "clothing_light",
    "neckline",
    "styled_length",
    "styled_volume",
    "styled_fringe",
    "styled_parting",
    "bleach",
    "tan",
    "make_up",
    "noise",
    "noise_seed",
    "jpeg_quality",
)
"""Names of a nuisance vector's entries, in order; every entry lies in [0, 1]."""

GLASSES_ABOVE = 0.72
SUNGLASSES_ABOVE = 0.95
STUBBLE_ABOVE = 0.52
BALD_BELOW = 0.10

# Exponents applied to a uniform draw: above 1 makes low values common, below 1 high ones.
_SKEW: dict[str, dict[str, float]] = {
    "celeba": {"age": 1.4, "hair_lightness": 1.15, "glasses": 1.4, "skin_darkness": 1.25},
    "ffhq": {
        "age": 0.75,
        "hair_lightness": 0.75,
        "hair_hue": 1.6,
        "glasses": 0.75,
        "facial_hair": 0.8,
        "skin_darkness": 1.8,
        "lip_colour": 1.6,
        "blush": 1.5,
    },
}

_GAMMA = 0x9E3779B97F4A7C15 - 2**64  # splitmix64's constants as signed 64-bit numbers
_MIX_A = 0xBF58476D1CE4E5B9 - 2**64
_MIX_B = 0x94D049BB133111EB - 2**64


def _shift(bits: Tensor, by: int) -> Tensor:
    """Shift int64 `bits` right by `by` places, filling with zeros."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mix(bits: Tensor) -> Tensor:
    """Scramble int64 `bits` elementwise with splitmix64's finaliser (products wrap)."""
    bits = (bits ^ _shift(bits, 30)) * _MIX_A
    bits = (bits ^ _shift(bits, 27)) * _MIX_B
    return bits ^ _shift(bits, 31)


def _key(*parts: object) -> int:
    """The first 64 bits of sha256 over `parts`, as a signed integer."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _uniforms(keys: Tensor, count: int) -> Tensor:
    """Expand int64 `keys` (N,) into float64 (N, count) in [0, 1), row by row on its own."""
    steps = torch.arange(1, count + 1, dtype=torch.int64) * _GAMMA
    bits = _mix(keys.unsqueeze(1) + steps)
    return _shift(bits, 40).to(torch.float64) / 2**24


def _check_domain(domain: str) -> None:
    if domain not in _SKEW:
        raise ValueError(f"domain must be one of {sorted(_SKEW)}, got {domain!r}")


def identity_vectors(indices: Sequence[int], *, seed: int, domain: str = "celeba") -> Tensor:
    """Draw the identities `indices`, each from a stream of its own.

    Args:
        indices: N identity numbers.
        seed: seed of the whole data set.
        domain: "celeba", or "ffhq" for a shifted distribution (older, lighter hair, more glasses
            and beards, less make-up).

    Returns:
        float64 (N, len(ATTRIBUTES)) in [0, 1]. A row depends on its own index only.

    Raises:
        ValueError: if `domain` is unknown.
    """
    _check_domain(domain)
    keys = torch.tensor(
        [_key(seed, domain, "identity", index) for index in indices], dtype=torch.int64
    )
    draws = _uniforms(keys, len(ATTRIBUTES))
    for name, exponent in _SKEW[domain].items():
        draws[:, ATTRIBUTES.index(name)].pow_(exponent)
    _correlate(draws)
    return draws


def _correlate(draws: Tensor) -> None:
    """Tie hair, beard, brows and lips to masculinity, in place, as in photographs of people.

    Independent draws would give beards and make-up to the same faces; more importantly real
    attributes are correlated, and an attribute-leakage metric should meet that.
    """
    column = {name: draws[:, index] for index, name in enumerate(ATTRIBUTES)}
    male = column["masculinity"]
    full_hair = 0.3 + 0.7 * column["hair_amount"]
    column["hair_amount"].copy_(full_hair + male.round() * (column["hair_amount"] - full_hair))
    column["hair_lightness"].mul_(1 - 0.45 * column["skin_darkness"])
    column["hair_length"].pow_(0.45 + 2.2 * male**2)
    column["facial_hair"].mul_(0.5 + 0.5 * male.round())
    column["lip_colour"].pow_(0.7 + 1.6 * male)
    column["brow_thickness"].mul_(0.6 + 0.4 * male)


def nuisance_vectors(pairs: Sequence[tuple[int, int]], *, seed: int, domain: str) -> Tensor:
    """Draw the nuisances of images, each from a stream of its own.

    Args:
        pairs: N pairs (identity index, image index).
        seed: seed of the whole data set.
        domain: "celeba" or "ffhq".

    Returns:
        float64 (N, len(NUISANCES)), uniform in [0, 1). A row depends on its own pair only.

    Raises:
        ValueError: if `domain` is unknown.
    """
    _check_domain(domain)
    numbers = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    base = _key(seed, domain, "image")
    keys = _mix(_mix(numbers[:, 0] * _GAMMA + base) + numbers[:, 1] * _GAMMA)
    return _uniforms(keys, len(NUISANCES))
