"""Synthetic faces: a vectorised procedural renderer.

A face is a function of two vectors in [0, 1]: an identity (`ATTRIBUTES`: skin, hair, bones,
glasses, beard ...) and a nuisance (`NUISANCES`: pose, light, expression, background ...). Flat
shapes with soft edges, given by signed distances, are composed back to front.

Lengths are in "head units": pixels of CelebA's aligned 178 x 218 images. The head's own frame
(u to the right, v downwards) has its origin between the eyes.

The same numbers give the same bytes on every processor. Sines, powers and square roots round their
last bit as the instruction set likes, so everything is computed in float64 and rounded once, to 8
bits, where such a bit counts for nothing; the noise is made of whole numbers.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from trapmid.data import celeba, listing

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

# A person's looks change from day to day: attribute -> (nuisance, largest change either way).
_DAILY: dict[str, tuple[str, float]] = {
    "hair_length": ("styled_length", 0.18),
    "hair_volume": ("styled_volume", 0.25),
    "fringe": ("styled_fringe", 0.3),
    "parting": ("styled_parting", 0.6),
    "hair_lightness": ("bleach", 0.10),
    "skin_darkness": ("tan", 0.08),
    "lip_colour": ("make_up", 0.4),
}

# (view width, view height, view centre x, view centre y) in head units. FFHQ's central 88 of
# 128 pixels must show what CelebA's central 108 x 108 box (centre 89, 109) shows.
_VIEWS: dict[str, tuple[float, float, float, float]] = {
    "celeba": (178.0, 218.0, 89.0, 109.0),
    "ffhq": (128.0 * 108 / 88, 128.0 * 108 / 88, 89.0, 109.0),
}
_EYES_X, _EYES_Y = 89.0, 112.0  # CelebA's aligned point between the eyes

_Colour = tuple[float, float, float]
_Grid = tuple[tuple[_Colour, ...], ...]


def _rgb(code: str) -> _Colour:
    """The colour of a six-digit hexadecimal code, each channel in [0, 1]."""
    red, green, blue = bytes.fromhex(code)
    return red / 255, green / 255, blue / 255


# Rows run from light to dark skin, columns from pink to olive.
_SKIN: _Grid = tuple(
    tuple(_rgb(code) for code in row.split())
    for row in ("ffe0d4 fce6c7", "f5c7b3 edcc9e", "d99e80 cca36e", "a87055 9e7248", "74493a 6a4d33")
)
# Rows run from dark to light hair; columns are grey, ashen, golden, red and dyed.
_HAIR: _Grid = tuple(
    tuple(_rgb(code) for code in row.split())
    for row in (
        "0c0c0f 120e0c 1c110b 360f0a 141c5c",
        "404045 3d2c20 5a3517 7a250f 61298c",
        "949499 8a6b4a a8722e c9541a de4285",
        "f2f2f0 e0c9a0 f5d070 f79c54 4dccc2",
    )
)
# Rows run from dark to light irises; columns are brown, green, blue.
_IRIS: _Grid = tuple(
    tuple(_rgb(code) for code in row.split())
    for row in ("29170d 293d1f 1f3361", "804f24 6b8f4d 5c99d9")
)
_FRAMES: _Grid = (tuple(map(_rgb, ("0f0f12", "0f0f12", "4d2612", "b31a21", "1a388c", "c79940"))),)


# ---------------------------------------------------------------------------- random streams

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


# ------------------------------------------------------------------------------- parameters


@dataclass(frozen=True)
class _Params:
    """Named columns of a vector per image, shaped (N, 1, 1) to meet (N, h, w) coordinates."""

    columns: dict[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]

    def between(self, name: str, low: float, high: float) -> Tensor:
        """Entry `name` mapped from [0, 1] onto [low, high]."""
        return low + (high - low) * self.columns[name]

    def bell(self, name: str, limit: float) -> Tensor:
        """Entry `name` mapped onto [-limit, limit], with small magnitudes more common."""
        centred = 2 * self.columns[name] - 1
        return limit * centred * centred.abs()

    def above(self, name: str, low: float, high: float) -> Tensor:
        """A ramp in entry `name`: 0 up to `low`, 1 from `high` on."""
        return _ramp(self.columns[name], low, high)


def _params(vectors: Tensor, names: tuple[str, ...]) -> _Params:
    columns = vectors.to(torch.float64).T.reshape(len(names), -1, 1, 1)
    return _Params(dict(zip(names, columns, strict=True)))


def _looks(identities: Tensor, nuisances: Tensor) -> Tensor:
    """Identity vectors (N, A) as they appear on the day of each image."""
    looks = identities.clone()
    for attribute, (nuisance, change) in _DAILY.items():
        offset = change * (2 * nuisances[:, NUISANCES.index(nuisance)] - 1)
        looks[:, ATTRIBUTES.index(attribute)].add_(offset).clamp_(0, 1)
    return looks


def _ramp(value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Smoothstep: 0 below `low`, 1 above `high`."""
    t = ((value - low) / (high - low)).clamp_(0, 1)
    return t * t * (3 - 2 * t)


def _palette(grid: _Grid, row: Tensor, column: Tensor) -> Tensor:
    """Colours (N, 3, 1, 1) interpolated in `grid`; `row` and `column` are (N, 1, 1) in [0, 1]."""
    table = torch.tensor(grid, dtype=torch.float64)
    rows, columns = table.shape[0], table.shape[1]
    at_row = row.flatten() * (rows - 1)
    at_column = column.flatten() * (columns - 1)
    row_weight = 1 - (at_row.unsqueeze(1) - torch.arange(rows)).abs()
    column_weight = 1 - (at_column.unsqueeze(1) - torch.arange(columns)).abs()
    weights = row_weight.clamp(0).unsqueeze(2) * column_weight.clamp(0).unsqueeze(1)
    # A sum over a fixed order of cells, not einsum: its result may not depend on the batch size.
    mixed = (weights.unsqueeze(3) * table).sum(dim=(1, 2))
    return mixed.reshape(-1, 3, 1, 1)


def _wheel(hue: Tensor, light: Tensor, saturation: Tensor | float) -> Tensor:
    """Colours (N, 3, 1, 1) of a smooth hue circle; all arguments (N, 1, 1) in [0, 1]."""
    phase = torch.arange(3, dtype=torch.float64).reshape(1, 3, 1, 1) / 3
    wave = 0.5 - 0.5 * torch.cos(2 * math.pi * (hue.unsqueeze(1) + phase))
    strength = saturation.unsqueeze(1) if isinstance(saturation, Tensor) else saturation
    return light.unsqueeze(1) * (1 - strength * wave)


def _colour(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor((red, green, blue), dtype=torch.float64).reshape(1, 3, 1, 1)


# ----------------------------------------------------------------------------------- shapes


def _ellipse(u: Tensor, v: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """Signed distance, about, from points (u, v) to an ellipse round the origin."""
    smaller = torch.minimum(*(torch.as_tensor(r, dtype=torch.float64) for r in (rx, ry)))
    return (torch.sqrt((u / rx).square_() + (v / ry).square_()) - 1).mul_(smaller)


def _box(
    u: Tensor, v: Tensor, half_u: Tensor | float, half_v: Tensor | float, radius: Tensor | float
) -> Tensor:
    """Signed distance from points (u, v) to a rounded box round the origin."""
    qu = u.abs() - (half_u - radius)
    qv = v.abs() - (half_v - radius)
    outside = torch.sqrt(qu.clamp(0).square_() + qv.clamp(0).square_())
    return outside + torch.maximum(qu, qv).clamp_(max=0) - radius


def _lens(t: Tensor, v: Tensor, above: Tensor, below: Tensor) -> Tensor:
    """Distance to the region -above(1-t^2) < v < below(1-t^2): eyes and lips."""
    bulge = 1 - t.square()
    return torch.maximum(-v - above * bulge, v - below * bulge)


@dataclass(frozen=True)
class _Patch:
    """A window of the canvas with its head coordinates.

    `canvas` (N, 3, h, w) is a view that painting changes; `u` and `v` are (N, h, w); `pixel` is
    a pixel's width in head units, the least softness of an edge; `window` is its place in the
    whole image.
    """

    window: tuple[slice, ...]
    canvas: Tensor
    u: Tensor
    v: Tensor
    pixel: float

    def cover(self, distance: Tensor, soft: float = 0.0) -> Tensor:
        """Coverage in [0, 1] of a shape, its edge `soft` head units wide (a pixel at least)."""
        width = max(soft, 1.3 * self.pixel)
        return (0.5 - distance / width).clamp_(0, 1)

    def paint(
        self, distance: Tensor, colour: Tensor, opacity: Tensor | float = 1.0, soft: float = 0.0
    ) -> None:
        """Lay a shape of one colour over the canvas."""
        self.blend(colour, self.cover(distance, soft).mul_(opacity))

    def blend(self, colour: Tensor, alpha: Tensor) -> None:
        """Lay `colour` (N, 3, 1, 1) over the canvas with `alpha` (N, h, w) in [0, 1]."""
        self.canvas.lerp_(colour, alpha.unsqueeze(1))


# ------------------------------------------------------------------------------------ scene


@dataclass(frozen=True)
class _Scene:
    """One batch being drawn: canvas, coordinates, and what several layers share."""

    canvas: Tensor
    x: Tensor  # (W,) head units in the image's frame, before pose
    y: Tensor  # (H,)
    u: Tensor  # (N, H, W)
    v: Tensor
    pixel: float
    who: _Params
    how: _Params
    skin: Tensor  # colours, (N, 3, 1, 1)
    shadow: Tensor
    hair: Tensor
    width: Tensor  # half the face's width, (N, 1, 1)
    chin: Tensor  # the chin's v
    yaw: Tensor  # how far features at depth 1 move, in head units
    pitch: Tensor
    lit: Tensor  # direction of the light, (N, 1, 1) each
    lit_v: Tensor

    @cached_property
    def face_distance(self) -> Tensor:
        """Signed distance, about, to the face, (N, H, W). Head and hair share it: it is slow."""
        return _face_distance(self)

    @cached_property
    def hair_distance(self) -> Tensor:
        """Signed distance, about, to all of the hair, (N, H, W), behind the face and before it."""
        return _hair_distance(self)

    @cached_property
    def strands(self) -> Tensor:
        """How dark the strands of hair are, (N, H, W) in [0, 1]."""
        curl = self.who.between("hair_curl", 0.5, 6)
        wave = torch.sin(0.55 * self.u + curl * torch.sin(0.12 * self.v))
        return wave.mul_(0.5).add_(0.5)

    def patch(self, left: float, top: float, right: float, bottom: float) -> _Patch:
        """The window of the given edges, in head units from the upright point between the eyes."""
        window = (slice(None), _span(self.y, top, bottom), _span(self.x, left, right))
        return _Patch(
            window,
            self.canvas[:, :, window[1], window[2]],
            self.u[window],
            self.v[window],
            self.pixel,
        )

    def feature(self, depth: float, box: tuple[float, float, float, float]) -> _Patch:
        """A window whose coordinates follow a feature standing `depth` out of the head."""
        patch = self.patch(*box)
        return _Patch(
            patch.window,
            patch.canvas,
            patch.u - depth * self.yaw,
            patch.v - depth * self.pitch,
            patch.pixel,
        )


def _span(axis: Tensor, low: float, high: float) -> slice:
    """The pixels of `axis` (ascending) between `low` and `high`."""
    inside = ((axis >= low) & (axis <= high)).nonzero().flatten().tolist()
    return slice(inside[0], inside[-1] + 1)


def _axis(pixels: int, length: float) -> Tensor:
    """Where the centres of `pixels` pixels lie on a view of `length` head units."""
    return (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels * length


def _scene(identities: Tensor, nuisances: Tensor, height: int, width: int, view: str) -> _Scene:
    who = _params(_looks(identities, nuisances), ATTRIBUTES)
    how = _params(nuisances, NUISANCES)
    view_width, view_height, centre_x, centre_y = _VIEWS[view]
    x = _axis(width, view_width) + centre_x - view_width / 2 - _EYES_X
    y = _axis(height, view_height) + centre_y - view_height / 2 - _EYES_Y

    roll = how.bell("roll", math.radians(12))
    scale = how.between("scale", 0.92, 1.12)
    right = x.reshape(1, 1, -1) - how.bell("shift_x", 7)
    down = y.reshape(1, -1, 1) - how.bell("shift_y", 5)
    cosine, sine = torch.cos(roll) / scale, torch.sin(roll) / scale

    skin = _palette(_SKIN, who["skin_darkness"], who["skin_undertone"])
    hair = _palette(_HAIR, who["hair_lightness"], who["hair_hue"])
    grey = who.above("age", 0.7, 1.0).mul(0.75).unsqueeze(1)
    angle = how["light_angle"] * 2 * math.pi
    return _Scene(
        canvas=torch.empty(len(identities), 3, height, width, dtype=torch.float64),
        x=x,
        y=y,
        u=cosine * right + sine * down,
        v=cosine * down - sine * right,
        pixel=view_width / width,
        who=who,
        how=how,
        skin=skin,
        shadow=skin * _colour(0.62, 0.50, 0.48),
        hair=torch.lerp(hair, _colour(0.72, 0.72, 0.73), grey),
        width=who.between("face_width", 33, 44),
        chin=who.between("face_length", 46, 60),
        yaw=how.bell("yaw", 11),
        pitch=how.bell("pitch", 4),
        lit=torch.cos(angle),
        lit_v=-torch.sin(angle).abs(),
    )


def _face_distance(scene: _Scene) -> Tensor:
    """Signed distance, about, to the face: half an ellipse above the eyes, a jaw below."""
    who, u, v = scene.who, scene.u, scene.v
    down = v.clamp(min=0) / scene.chin
    taper = 1 - (1 - who.between("jaw_width", 0.70, 1.0)) * _ramp(down, 0.1, 1.0)
    square = who.between("jaw_squareness", 1.9, 3.1)
    across = u.abs() / (scene.width * taper)
    up = v.clamp(max=0) / 58
    # Only the jaw needs the slow general power; above the eyes the exponent 2 fits.
    exponent = torch.where(v > 0, square, 2.0)
    radius = (across**exponent + down**exponent + up.square_()) ** (1 / exponent)
    return (radius - 1).mul_(scene.width)


def _background(scene: _Scene) -> None:
    how = scene.how
    patch = _Patch((slice(None),) * 3, scene.canvas, scene.u, scene.v, scene.pixel)
    saturation = how.between("background_saturation", 0.0, 0.6)
    one = _wheel(how["background_hue_a"], how.between("background_light_a", 0.35, 0.95), saturation)
    two = _wheel(how["background_hue_b"], how.between("background_light_b", 0.35, 0.95), saturation)
    x, y = scene.x.reshape(1, 1, -1), scene.y.reshape(1, -1, 1)
    angle = how["background_angle"] * 2 * math.pi
    slope = (torch.cos(angle) * x + torch.sin(angle) * y) / 160 + 0.5
    scene.canvas.copy_(one)
    patch.blend(two, slope.clamp_(0, 1))
    shape = _ellipse(
        x - how.between("shape_x", -90, 90),
        y - how.between("shape_y", -110, 60),
        how.between("shape_size", 10, 45),
        how.between("shape_size", 10, 45),
    )
    patch.paint(shape, one, 0.6, soft=3)


def _hair_distance(scene: _Scene) -> Tensor:
    """Signed distance to all of the hair as seen without the face in front of it."""
    who, u, v = scene.who, scene.u, scene.v
    amount = who.above("hair_amount", BALD_BELOW, 0.3)
    volume = who.between("hair_volume", 1.5, 15) * (0.25 + 0.75 * amount) - 6 * (1 - amount)
    half = scene.width + volume
    cap = _ellipse(u, v + 14, half, 47 + 0.9 * volume)
    ends = -12 + amount * who.between("hair_length", -8, 110)
    middle = 0.5 * (ends - 12)
    curtain = _box(u, v - middle, half, (ends - middle).clamp(min=1), 10.0)
    curls = who.between("hair_curl", 0, 2.8) * torch.sin(0.33 * u) * torch.sin(0.31 * v + 1)
    return torch.minimum(cap, curtain) + curls * amount


def _strands(scene: _Scene, patch: _Patch, cover: Tensor) -> None:
    """Paint hair where `cover` (N, h, w) says, with strands and a glossy band on top."""
    patch.blend(scene.hair, cover)
    patch.blend(scene.hair * 0.55, (scene.strands[patch.window] * cover).mul_(0.45))
    gloss = (1 - ((patch.v + 48) / 11).square_()).clamp_(0, 1).mul_(cover).mul_(0.22)
    patch.blend(scene.hair * 0.6 + 0.4, gloss)


def _body(scene: _Scene) -> None:
    how = scene.how
    patch = scene.patch(-90, 20, 90, 120)
    u, v = patch.u, patch.v
    neck = _box(u, v - 70, 0.60 * scene.width, 50.0, 6.0)
    patch.paint(neck, torch.lerp(scene.shadow, scene.skin, 0.45))
    patch.paint(torch.maximum(neck, v - scene.chin - 10), scene.shadow, 0.6, soft=8)
    cloth = _wheel(how["clothing_hue"], how.between("clothing_light", 0.15, 1.0), 0.7)
    shoulders = _ellipse(u, v - 124, 84.0, 56.0)
    collar = _ellipse(u, v - 66, 25.0, how.between("neckline", 8, 26))
    patch.paint(torch.maximum(shoulders, -collar), cloth)
    patch.paint((collar.abs() - 1.2).maximum(shoulders), cloth * 0.6)


def _ears(scene: _Scene) -> None:
    patch = scene.feature(-0.6, (-72, -30, 72, 45))
    size = scene.who.between("ear_size", 5, 11)
    across = patch.u.abs() - scene.width + 1.0
    ear = _ellipse(across, patch.v - 5, 0.75 * size, 1.25 * size)
    patch.paint(ear, torch.lerp(scene.skin, scene.shadow, 0.25))
    inner = _ellipse(across - 0.25 * size, patch.v - 4, 0.4 * size, 0.8 * size)
    patch.paint(inner, scene.shadow, 0.6, soft=2)


def _head(scene: _Scene) -> None:
    """The face's skin with its shading, blush and beard."""
    patch = scene.patch(-72, -78, 72, 82)
    u, v = patch.u, patch.v
    face = scene.face_distance[patch.window]
    cover = patch.cover(face)
    patch.blend(scene.skin, cover)
    # The side away from the light, then the rim all round, fall into shadow.
    strength = scene.how.between("light_strength", 0.0, 0.75)
    away = (-(scene.lit * u / scene.width) - 0.5 * scene.lit_v * v / 58 + 0.1).clamp_(0, 1)
    rim = _ramp(face, -0.3 * scene.width, 0.05 * scene.width)
    patch.blend(scene.shadow, (away * strength + 0.35 * rim).clamp_(0, 1).mul_(cover))
    glow = (scene.lit * u / scene.width - 0.4).clamp_(0, 1).mul_(0.5 * strength)
    patch.blend(scene.skin * 0.5 + 0.5, glow.mul_(cover))
    cheeks = _ellipse((u - 0.5 * scene.yaw).abs() - 0.56 * scene.width, v - 20, 10.0, 8.0)
    blush = scene.skin * _colour(1.0, 0.66, 0.66)
    patch.paint(cheeks, blush, scene.who.between("blush", 0.1, 0.65), soft=9)
    _beard(scene, patch, face)


def _mouth_v(scene: _Scene) -> Tensor:
    """The mouth's v: between the nose and the chin."""
    return scene.who.between("mouth_height", 0.64, 0.74) * scene.chin


def _mouth_half(scene: _Scene) -> Tensor:
    """Half the mouth's width, a smile stretching it."""
    return scene.who.between("mouth_width", 10, 17.5) * scene.how.between("smile", 0.9, 1.2)


def _beard(scene: _Scene, patch: _Patch, face: Tensor) -> None:
    """Stubble, goatee or full beard, with a moustache."""
    who = scene.who
    u, v = patch.u - 0.5 * scene.yaw, patch.v - 0.5 * scene.pitch
    opacity = 0.35 * who.above("facial_hair", STUBBLE_ABOVE - 0.01, STUBBLE_ABOVE + 0.01)
    opacity = opacity + 0.6 * who.above("facial_hair", 0.62, 0.72)
    mouth = _mouth_v(scene)
    full = _ramp(who["beard_shape"], 0.35, 0.55)
    across = u.abs() / scene.width
    # A goatee keeps to the middle; a full beard climbs to the sideburns.
    line = mouth + 2 - (mouth - 2) * _ramp(across, 0.45, 0.98)
    beard = torch.maximum(face - 2, line - v)
    goatee = torch.maximum(_ellipse(u, v - scene.chin + 4, 15.0, scene.chin - mouth), face - 3)
    shape = torch.lerp(goatee, beard, full)
    half = _mouth_half(scene) + 2
    moustache = _lens(u / half, v - mouth + 4, torch.full_like(half, 4.5), half * 0.2)
    hair = scene.hair * 0.8
    patch.paint(torch.minimum(shape, moustache), hair, opacity, soft=3)


def _front_hair(scene: _Scene) -> None:
    """The hair before the forehead, and the locks beside the cheeks."""
    who = scene.who
    patch = scene.patch(-80, -100, 80, 106)
    u, v = patch.u - 0.4 * scene.yaw, patch.v - 0.4 * scene.pitch
    hair = scene.hair_distance[patch.window]
    amount = who.above("hair_amount", BALD_BELOW, 0.55)
    across = u.abs() / scene.width
    part = who.between("parting", -24, 24)
    height = -46 + who.between("fringe", 0, 29) * amount
    drop = 30 * _ramp(across, 0.5, 1.0)
    notch = 12 * (1 - ((u - part) / 15).square_()).clamp_(0, 1)
    sweep = (0.22 * amount * (1 - who["fringe"])) * (u * torch.sign(part))
    line = height + drop - notch * who["fringe"] - sweep
    top = torch.maximum(hair, v - line)
    inner = scene.width + 2 - amount * who.between("hair_locks", 0, 11)
    locks = torch.maximum(hair, inner - patch.u.abs())
    shown = who.above("hair_amount", BALD_BELOW - 0.01, BALD_BELOW + 0.01)
    front = torch.minimum(top, torch.maximum(locks, -14 - v))
    edge = torch.maximum(front - 3, scene.face_distance[patch.window])
    patch.paint(edge, scene.shadow, 0.45 * shown, soft=5)
    _strands(scene, patch, patch.cover(front).mul_(shown))


def _eyes(scene: _Scene) -> None:
    who, how = scene.who, scene.how
    patch = scene.feature(0.7, (-58, -30, 58, 30))
    centre = who.between("eye_spacing", 16, 23)
    half = who.between("eye_size", 7, 11)
    closing = 1 - 0.85 * how.above("eye_closure", 0.86, 0.98)
    above = half * who.between("eye_openness", 0.32, 0.78) * closing
    below = 0.6 * above
    m = patch.u.abs() - centre
    v = patch.v + who.between("eye_tilt", -0.22, 0.30) * m
    t = m / half
    socket = _ellipse(m, v + 2, half + 3, above + 6)
    patch.paint(socket, scene.shadow, 0.35, soft=6)
    eye = _lens(t, v, above, below)
    patch.paint(eye, _colour(0.97, 0.96, 0.95))
    patch.paint(eye.maximum(-v - above * 0.2 - 0.5), scene.shadow, 0.15)
    # The mirrored m points away from the nose, so a common gaze needs each side's sign.
    side = torch.sign(patch.u)
    across = m - side * how.bell("gaze_x", 2.2)
    down = v - how.bell("gaze_y", 1.5)
    size = 0.5 * half
    iris = _palette(_IRIS, who["iris_lightness"], who["iris_hue"])
    round_ = _ellipse(across, down, size, size)
    patch.paint(eye.maximum(round_), iris * 0.5)
    patch.paint(eye.maximum(round_ + 0.8), iris)
    patch.paint(eye.maximum(round_ + 0.5 * size), _colour(0.03, 0.03, 0.03))
    glint = _ellipse(across - side * 1.4 * torch.sign(scene.lit), down + 1.4, 1.2, 1.2)
    patch.paint(eye.maximum(glint), _colour(1, 1, 1))
    lash = (1.5 - 0.6 * who["masculinity"]) * (1 + 0.5 * t.clamp(-1, 1))
    lid = (v + above * (1 - t.square())).abs() - lash
    patch.paint(lid.maximum(m.abs() - half - 1), _colour(0.08, 0.05, 0.05))
    crease = ((v + above * (1 - t.square()) + 3.5).abs() - 0.5).maximum(m.abs() - half)
    patch.paint(crease, scene.shadow, 0.5)


def _brows(scene: _Scene) -> None:
    who = scene.who
    patch = scene.feature(0.7, (-62, -42, 62, 10))
    centre = who.between("eye_spacing", 16, 23) + 1
    half = who.between("eye_size", 9, 13)
    m = patch.u.abs() - centre
    t = m / half
    height = who.between("brow_height", -11, -18) - 3 * scene.how["brow_raise"]
    curve = height - who.between("brow_tilt", -0.25, 0.35) * m + 2.5 * t.square()
    thick = who.between("brow_thickness", 0.9, 3.8) * (1 - 0.35 * t.clamp(-1, 1))
    brow = ((patch.v - curve).abs() - thick).maximum(m.abs() - half)
    dark = who.between("brow_darkness", 0.35, 0.95).unsqueeze(1)
    colour = torch.lerp(scene.hair, scene.hair * 0.35, dark)
    patch.paint(brow, colour, 0.9, soft=1.8)


def _nose(scene: _Scene) -> None:
    who = scene.who
    patch = scene.feature(1.0, (-36, -22, 36, 58))
    u = patch.u
    half = who.between("nose_width", 4.5, 11)
    tip = who.between("nose_length", 19, 30)
    v = patch.v - tip
    # The bridge throws its shadow to the side away from the light.
    beside = -torch.sign(scene.lit) * u
    ridge = 2.5 + 0.5 * half * _ramp(v, -20, -3)
    bridge = ((beside - ridge).abs() - 1.5).maximum(v + 3).maximum(-v - tip - 4)
    patch.paint(bridge, scene.shadow, 0.45, soft=4)
    ball = _ellipse(u, v, half, 0.62 * half + 1)
    above = _ellipse(u, v + 2.2, half + 0.3, 0.62 * half + 1)
    patch.paint(ball.maximum(-above), scene.shadow * 0.85, 0.85)
    nostrils = _ellipse(u.abs() - 0.48 * half, v - 0.3 * half, 0.24 * half, 0.16 * half + 0.4)
    patch.paint(nostrils, scene.shadow * 0.5, 0.85)
    shine = _ellipse(u - scene.lit, v + 2, 0.3 * half, 0.3 * half)
    patch.paint(shine, scene.skin * 0.5 + 0.5, 0.5, soft=3)


def _mouth(scene: _Scene) -> None:
    who, how = scene.who, scene.how
    patch = scene.feature(0.7, (-44, 10, 44, 84))
    half = _mouth_half(scene)
    t = patch.u / half
    smile = how.between("smile", -0.3, 6.5)
    v = patch.v - _mouth_v(scene) + smile * (t.square() - 0.4)
    full = who.between("lip_thickness", 1.2, 5.2)
    gap = 6 * how.above("mouth_open", 0.5, 1.3)
    lips = torch.lerp(
        scene.skin * _colour(0.86, 0.58, 0.56),
        _colour(0.78, 0.10, 0.20),
        who.above("lip_colour", 0.3, 0.9).mul(0.85).unsqueeze(1),
    )
    patch.paint(_lens(t, v - 3 - gap, full, full + 2), scene.shadow, 0.35, soft=4)
    patch.paint(_lens(t, v, full, 1.25 * full + gap), lips)
    patch.paint(_lens(t, v, full, torch.zeros_like(gap)), lips * 0.82)
    inside = _lens(t * 1.05, v, torch.full_like(gap, 0.6), gap + 0.3)
    patch.paint(inside, _colour(0.25, 0.05, 0.06), 0.9)
    teeth = _lens(t * 1.15, v, torch.zeros_like(gap), 0.65 * gap - 0.4)
    patch.paint(teeth, _colour(0.97, 0.96, 0.93), _ramp(gap, 0.5, 1.5))
    shine = _ellipse(patch.u, v - gap - 0.6 * full, 0.4 * half, 0.22 * full)
    patch.paint(shine, lips * 0.5 + 0.5, 0.5, soft=1.5)


def _wrinkles(scene: _Scene) -> None:
    """Folds beside the mouth, bags under the eyes and lines on the forehead, with age."""
    who = scene.who
    patch = scene.feature(0.6, (-50, -52, 50, 66))
    old = who.above("age", 0.45, 0.95)
    m, v = patch.u.abs(), patch.v
    fold = 9 + 0.42 * (v - 22)
    folds = ((m - fold).abs() - 0.7).maximum((v - 28).abs() - 7)
    bags = _ellipse(m - who.between("eye_spacing", 16, 23), v - 5, 9.0, 6.0).abs() - 0.7
    bags = bags.maximum(7 - v)
    lines = (torch.remainder(v, 6.0) - 3).abs() - 0.6
    lines = lines.maximum(m - 20).maximum((v + 31).abs() - 9)
    patch.paint(torch.minimum(folds, bags).minimum(lines), scene.shadow * 0.8, 0.75 * old)


def _glasses(scene: _Scene) -> None:
    who = scene.who
    patch = scene.feature(0.75, (-66, -34, 66, 40))
    worn = (who["glasses"] > GLASSES_ABOVE).double()
    tint = 0.10 + 0.8 * (who["glasses"] > SUNGLASSES_ABOVE).double()
    size = who.between("glasses_size", 10, 14.5)
    tall = size * (0.62 + 0.36 * who["glasses_roundness"])
    centre = who.between("eye_spacing", 16, 23).maximum(size + 2.5)
    frame = _palette(_FRAMES, torch.zeros_like(centre), who["glasses_colour"])
    thick = 0.9 + 1.1 * (1 - who["glasses_roundness"])
    m, v = patch.u.abs() - centre, patch.v - 2
    lens = _box(m, v, size, tall, tall * who.between("glasses_roundness", 0.25, 1.0))
    patch.paint(lens, frame * 0.35 + 0.05, tint * worn)
    shine = ((m + 0.6 * v).abs() - 1.6).maximum(lens + 2)
    patch.paint(shine, _colour(1, 1, 1), 0.28 * worn, soft=2)
    ring = lens.abs() - thick
    beyond = (lens - 0.5).neg()
    # The arms end at the head's edge, which the yaw that moves the lenses does not move.
    past_head = (patch.u + 0.75 * scene.yaw).abs() - scene.width
    bar = ((v + 2).abs() - thick).maximum(beyond).maximum(past_head)
    patch.paint(torch.minimum(ring, bar), frame, worn)


def _grain(shape: torch.Size, seed: int) -> Tensor:
    """Noise of mean 0 and variance 1, nearly normal: the sum of four uniform 15-bit numbers.

    `torch.randn` would do, but for its logarithms: four numbers in ten differ between instruction
    sets. The generator's whole numbers do not.
    """
    bits = torch.empty(shape, dtype=torch.int64)
    bits.random_(generator=torch.Generator().manual_seed(seed))  # 63 of them
    total = torch.stack([(bits >> (15 * part)) & 0x7FFF for part in range(4)]).sum(dim=0)
    centre, deviation = 2 * 0x7FFF, math.sqrt((2**30 - 1) / 3)
    return (total - centre).to(torch.float64) / deviation


def _light(scene: _Scene) -> None:
    """Exposure, the light's fall-off, its colour, and the sensor's noise, in place."""
    how, canvas = scene.how, scene.canvas
    exposure = how.between("exposure", 0.74, 1.15).unsqueeze(1)
    warmth = how.bell("warmth", 0.13).unsqueeze(1)
    tint = exposure * (1 + warmth * _colour(1, 0, -1))
    x, y = scene.x.reshape(1, 1, -1), scene.y.reshape(1, -1, 1)
    strength = how.between("light_strength", 0.0, 0.32)
    fall = 1 + strength * (scene.lit * x + scene.lit_v * y) / 80
    canvas.mul_(fall.unsqueeze(1)).mul_(tint)
    amplitude = how.between("noise", 0.002, 0.016)
    for image, seed, sigma in zip(
        canvas, how["noise_seed"].flatten().tolist(), amplitude.flatten().tolist(), strict=True
    ):
        image.add_(_grain(canvas.shape[2:], int(seed * 2**24)), alpha=sigma)
    canvas.clamp_(0, 1)


def render(
    identities: Tensor, nuisances: Tensor, *, height: int, width: int, framing: str
) -> Tensor:
    """Draw faces.

    Args:
        identities: (N, len(ATTRIBUTES)) in [0, 1].
        nuisances: (N, len(NUISANCES)) in [0, 1].
        height: pixels of the image's height.
        width: pixels of the image's width.
        framing: "celeba" (the view of a 178 x 218 aligned image) or "ffhq" (a square view whose
            central 88/128 is CelebA's central 108 x 108 box).

    Returns:
        float64 (N, 3, height, width) in [0, 1], RGB. An image depends on its own rows only.

    Raises:
        ValueError: if the framing is unknown or the vectors' shapes do not fit.
    """
    if framing not in _VIEWS:
        raise ValueError(f"framing must be one of {sorted(_VIEWS)}, got {framing!r}")
    wanted = ((len(identities), len(ATTRIBUTES)), (len(identities), len(NUISANCES)))
    given = (tuple(identities.shape), tuple(nuisances.shape))
    if given != wanted:
        raise ValueError(f"identities and nuisances must have shapes {wanted}, got {given}")
    scene = _scene(identities, nuisances, height, width, framing)
    _background(scene)
    behind = scene.patch(-90, -112, 90, 106)
    hair = behind.cover(scene.hair_distance[behind.window])
    _strands(scene, behind, hair)
    for layer in _LAYERS:
        layer(scene)
    return scene.canvas


_LAYERS: tuple[Callable[[_Scene], None], ...] = (
    _body,
    _ears,
    _head,
    _wrinkles,
    _nose,
    _mouth,
    _eyes,
    _brows,
    _glasses,
    _front_hair,
    _light,
)


# ------------------------------------------------------------------------ CelebA's attributes


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


# -------------------------------------------------------------------------------- writing

_CHUNK = 8  # images drawn at a time: few enough for their temporaries to stay in the caches
_WORKERS = 2
_CELEBA_SIZE = (218, 178)
_FFHQ_SIZE = (128, 128)


@contextmanager
def _one_thread_an_operation() -> Iterator[None]:
    """Make torch's operations single-threaded inside the block.

    Chunks already occupy the cores; splitting small operations as well makes threads wait for
    each other, which on a busy machine costs more than ten times the drawing itself.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _save(pixels: Tensor, path: Path, quality: int) -> None:
    """Encode uint8 (H, W, 3) `pixels`; `quality` matters to JPEG only."""
    image = Image.fromarray(pixels.numpy())
    if path.suffix == ".jpg":
        image.save(path, quality=quality)
    else:
        image.save(path, compress_level=3)


def draw(
    pairs: Sequence[tuple[int, int]], *, seed: int, domain: str, size: tuple[int, int]
) -> Tensor:
    """Draw images as they are written to a file.

    Args:
        pairs: N pairs (identity index, image index).
        seed: seed of the whole data set.
        domain: "celeba" or "ffhq".
        size: height and width in pixels.

    Returns:
        uint8 (N, height, width, 3), RGB, the same on every processor.

    Raises:
        ValueError: if `domain` is unknown.
    """
    identities = identity_vectors([identity for identity, _ in pairs], seed=seed, domain=domain)
    nuisances = nuisance_vectors(pairs, seed=seed, domain=domain)
    drawn = render(identities, nuisances, height=size[0], width=size[1], framing=domain)
    return drawn.mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def portraits(pairs: Sequence[tuple[int, int]], *, seed: int, size: int) -> Tensor:
    """Draw faces as a study sees CelebA's, in memory: cropped and resized, never a JPEG file.

    Args:
        pairs: N pairs (identity index, image index).
        seed: seed of the whole data set.
        size: pixels of a side.

    Returns:
        uint8 (N, 3, size, size), RGB. An image depends on the seed and its own pair only.
    """

    def prepared(chunk: Sequence[tuple[int, int]]) -> list[Tensor]:
        drawn = draw(chunk, seed=seed, domain="celeba", size=_CELEBA_SIZE)
        pictures = [Image.fromarray(pixels.numpy()).crop(celeba.CROP) for pixels in drawn]
        return [listing.to_tensor(picture, size) for picture in pictures]

    chunks = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    with _one_thread_an_operation(), ThreadPoolExecutor(_WORKERS) as pool:
        return torch.stack([image for part in pool.map(prepared, chunks) for image in part])


def _draw_chunk(
    pairs: Sequence[tuple[int, int]],
    paths: Sequence[Path],
    *,
    seed: int,
    domain: str,
    size: tuple[int, int],
) -> int:
    """Draw the image of each (identity, image) pair into its path; returns their number."""
    nuisances = nuisance_vectors(pairs, seed=seed, domain=domain)
    qualities = (75 + 20 * nuisances[:, NUISANCES.index("jpeg_quality")]).int().tolist()
    drawn = draw(pairs, seed=seed, domain=domain, size=size)
    for image, path, quality in zip(drawn, paths, qualities, strict=True):
        _save(image, path, quality)
    return len(pairs)


def _draw_all(
    pairs: Sequence[tuple[int, int]],
    paths: Sequence[Path],
    *,
    seed: int,
    domain: str,
    size: tuple[int, int],
) -> None:
    """Draw all images, in chunks on `_WORKERS` threads, with a progress bar."""
    pool = ThreadPoolExecutor(_WORKERS)
    progress = tqdm(total=len(pairs), desc=f"drawing {domain}", unit="img", mininterval=2)
    with _one_thread_an_operation(), pool, progress:
        draw = partial(_draw_chunk, seed=seed, domain=domain, size=size)
        chunks = [slice(start, start + _CHUNK) for start in range(0, len(pairs), _CHUNK)]
        futures = [pool.submit(draw, pairs[chunk], paths[chunk]) for chunk in chunks]
        try:
            for future in futures:
                progress.update(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else a failure would draw the rest first
            raise


def _write_vectors(path: Path, ids: Sequence[int], vectors: Tensor) -> None:
    """Write the ground truth: a header, then an identity's number and its attributes a line."""
    lines = [",".join(("identity", *ATTRIBUTES))]
    lines += [
        ",".join((str(number), *(f"{value:.6f}" for value in row)))
        for number, row in zip(ids, vectors.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes a CelebA-like and an FFHQ-like folder of synthetic faces.

    Identities 1..`identities` have `images` images each, the next `others` have `other_images`
    each. The pixels of an (identity, image) pair depend on the seed and the pair only, so growing
    any field keeps the images there were; their file names may shift.

    Raises:
        ValueError: on construction, if a count is not positive or `other_images` >= `images`.
    """

    identities: int
    images: int
    others: int
    other_images: int
    thumbnails: int
    seed: int

    def __post_init__(self) -> None:
        """Check every field; the class says what is refused."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{field.name} must be an integer, got {value!r}")
            least = 1 if field.name in ("identities", "images", "other_images") else 0
            if value < least:
                raise ValueError(f"{field.name} must be at least {least}, got {value}")
        if self.other_images >= self.images:
            raise ValueError(
                f"other_images must be below images ({self.images}), got {self.other_images}"
            )

    def make(self, folder: Path, log: Callable[[str], None]) -> None:
        """Write `folder`/celeba and, if there are thumbnails, `folder`/ffhq, all or nothing.

        Args:
            folder: where to write; it must not exist or be empty.
            log: called with a line per finished part.

        Raises:
            FileExistsError: if `folder` exists and is not empty.
        """
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} exists and is not empty")
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            self._make_celeba(building / "celeba", log)
            if self.thumbnails:
                self._make_ffhq(building / "ffhq", log)
            building.chmod(0o755)  # mkdtemp's folders are closed to other users
            os.replace(building, folder)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def _pairs(self) -> list[tuple[int, int]]:
        """Every (identity, image) pair of the CelebA-like part, in file order."""
        many = range(1, self.identities + 1)
        few = range(self.identities + 1, self.identities + self.others + 1)
        pairs = [(identity, image) for identity in many for image in range(self.images)]
        pairs += [(identity, image) for identity in few for image in range(self.other_images)]
        return pairs

    def _make_celeba(self, folder: Path, log: Callable[[str], None]) -> None:
        pairs = self._pairs()
        names = [f"{number:06d}.jpg" for number in range(1, len(pairs) + 1)]
        images = folder / "img_align_celeba"
        images.mkdir(parents=True)
        ids = range(1, self.identities + self.others + 1)
        vectors = identity_vectors(ids, seed=self.seed, domain="celeba")
        self._write_labels(folder, pairs, names, vectors)
        _write_vectors(folder / "identity_vectors.csv", ids, vectors)
        paths = [images / name for name in names]
        _draw_all(pairs, paths, seed=self.seed, domain="celeba", size=_CELEBA_SIZE)
        log(f"drew {len(pairs)} CelebA-like images of {len(ids)} identities")

    def _write_labels(
        self,
        folder: Path,
        pairs: Sequence[tuple[int, int]],
        names: Sequence[str],
        vectors: Tensor,
    ) -> None:
        """Write the owners' and the attributes' files; row i of `vectors` is identity i + 1."""
        owners = [f"{name} {identity}" for name, (identity, _) in zip(names, pairs, strict=True)]
        (folder / "identity_CelebA.txt").write_text("\n".join(owners) + "\n", encoding="utf-8")
        marks = binary_attributes(vectors)
        table = torch.stack(list(marks.values()), dim=1).tolist()
        rows = [" ".join(f"{mark:2d}" for mark in row) for row in table]
        lines = [str(len(names)), " ".join(marks)]
        lines += [f"{name} {rows[i - 1]}" for name, (i, _) in zip(names, pairs, strict=True)]
        (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _make_ffhq(self, folder: Path, log: Callable[[str], None]) -> None:
        numbers = range(self.thumbnails)
        folder.mkdir(parents=True)
        for start in range(0, self.thumbnails, 1000):
            (folder / f"{start:05d}").mkdir()
        vectors = identity_vectors(numbers, seed=self.seed, domain="ffhq")
        _write_vectors(folder / "identity_vectors.csv", numbers, vectors)
        paths = [folder / f"{n // 1000 * 1000:05d}" / f"{n:05d}.png" for n in numbers]
        pairs = [(number, 0) for number in numbers]
        _draw_all(pairs, paths, seed=self.seed, domain="ffhq", size=_FFHQ_SIZE)
        log(f"drew {self.thumbnails} FFHQ-like thumbnails")
