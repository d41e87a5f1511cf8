"""One batch being drawn: its canvas, its coordinates, and the outlines of face and hair."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trapmid.data.drawing.colours import HAIR, SKIN, palette, rgb
from trapmid.data.drawing.columns import Params, looks, params
from trapmid.data.drawing.shapes import Patch, box, ellipse, ramp
from trapmid.data.drawing.vectors import ATTRIBUTES, BALD_BELOW, NUISANCES

# (view width, view height, view centre x, view centre y) in head units. FFHQ's central 88 of
# 128 pixels must show what CelebA's central 108 x 108 box (centre 89, 109) shows.
VIEWS: dict[str, tuple[float, float, float, float]] = {
    "celeba": (178.0, 218.0, 89.0, 109.0),
    "ffhq": (128.0 * 108 / 88, 128.0 * 108 / 88, 89.0, 109.0),
}
_EYES_X, _EYES_Y = 89.0, 112.0  # CelebA's aligned point between the eyes


@dataclass(frozen=True)
class Scene:
    """One batch being drawn: canvas, coordinates, and what several layers share."""

    canvas: Tensor
    x: Tensor  # (W,) head units in the image's frame, before pose
    y: Tensor  # (H,)
    u: Tensor  # (N, H, W)
    v: Tensor
    pixel: float
    who: Params
    how: Params
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

    def patch(self, left: float, top: float, right: float, bottom: float) -> Patch:
        """The window of the given edges, in head units from the upright point between the eyes."""
        window = (slice(None), _span(self.y, top, bottom), _span(self.x, left, right))
        return Patch(
            window,
            self.canvas[:, :, window[1], window[2]],
            self.u[window],
            self.v[window],
            self.pixel,
        )

    def feature(self, depth: float, box: tuple[float, float, float, float]) -> Patch:
        """A window whose coordinates follow a feature standing `depth` out of the head."""
        patch = self.patch(*box)
        return Patch(
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


def scene_of(identities: Tensor, nuisances: Tensor, height: int, width: int, view: str) -> Scene:
    """An empty canvas of N images, and where head and light are on each."""
    who = params(looks(identities, nuisances), ATTRIBUTES)
    how = params(nuisances, NUISANCES)
    view_width, view_height, centre_x, centre_y = VIEWS[view]
    x = _axis(width, view_width) + centre_x - view_width / 2 - _EYES_X
    y = _axis(height, view_height) + centre_y - view_height / 2 - _EYES_Y

    roll = how.bell("roll", math.radians(12))
    scale = how.between("scale", 0.92, 1.12)
    right = x.reshape(1, 1, -1) - how.bell("shift_x", 7)
    down = y.reshape(1, -1, 1) - how.bell("shift_y", 5)
    cosine, sine = torch.cos(roll) / scale, torch.sin(roll) / scale

    skin = palette(SKIN, who["skin_darkness"], who["skin_undertone"])
    hair = palette(HAIR, who["hair_lightness"], who["hair_hue"])
    grey = who.above("age", 0.7, 1.0).mul(0.75).unsqueeze(1)
    angle = how["light_angle"] * 2 * math.pi
    return Scene(
        canvas=torch.empty(len(identities), 3, height, width, dtype=torch.float64),
        x=x,
        y=y,
        u=cosine * right + sine * down,
        v=cosine * down - sine * right,
        pixel=view_width / width,
        who=who,
        how=how,
        skin=skin,
        shadow=skin * rgb(0.62, 0.50, 0.48),
        hair=torch.lerp(hair, rgb(0.72, 0.72, 0.73), grey),
        width=who.between("face_width", 33, 44),
        chin=who.between("face_length", 46, 60),
        yaw=how.bell("yaw", 11),
        pitch=how.bell("pitch", 4),
        lit=torch.cos(angle),
        lit_v=-torch.sin(angle).abs(),
    )


def _face_distance(scene: Scene) -> Tensor:
    """Signed distance, about, to the face: half an ellipse above the eyes, a jaw below."""
    who, u, v = scene.who, scene.u, scene.v
    down = v.clamp(min=0) / scene.chin
    taper = 1 - (1 - who.between("jaw_width", 0.70, 1.0)) * ramp(down, 0.1, 1.0)
    square = who.between("jaw_squareness", 1.9, 3.1)
    across = u.abs() / (scene.width * taper)
    up = v.clamp(max=0) / 58
    # Only the jaw needs the slow general power; above the eyes the exponent 2 fits.
    exponent = torch.where(v > 0, square, 2.0)
    radius = (across**exponent + down**exponent + up.square_()) ** (1 / exponent)
    return (radius - 1).mul_(scene.width)


def _hair_distance(scene: Scene) -> Tensor:
    """Signed distance to all of the hair as seen without the face in front of it."""
    who, u, v = scene.who, scene.u, scene.v
    amount = who.above("hair_amount", BALD_BELOW, 0.3)
    volume = who.between("hair_volume", 1.5, 15) * (0.25 + 0.75 * amount) - 6 * (1 - amount)
    half = scene.width + volume
    cap = ellipse(u, v + 14, half, 47 + 0.9 * volume)
    ends = -12 + amount * who.between("hair_length", -8, 110)
    middle = 0.5 * (ends - 12)
    curtain = box(u, v - middle, half, (ends - middle).clamp(min=1), 10.0)
    curls = who.between("hair_curl", 0, 2.8) * torch.sin(0.33 * u) * torch.sin(0.31 * v + 1)
    return torch.minimum(cap, curtain) + curls * amount
