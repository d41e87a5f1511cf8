"""The features of a face: eyes, brows, nose, mouth and glasses."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmid.data.drawing.colours import FRAMES, IRIS, palette, rgb
from trapmid.data.drawing.scene import Scene
from trapmid.data.drawing.shapes import almond, box, ellipse, ramp
from trapmid.data.drawing.vectors import GLASSES_ABOVE, SUNGLASSES_ABOVE


def mouth_v(scene: Scene) -> Tensor:
    """The mouth's v: between the nose and the chin."""
    return scene.who.between("mouth_height", 0.64, 0.74) * scene.chin


def mouth_half(scene: Scene) -> Tensor:
    """Half the mouth's width, a smile stretching it."""
    return scene.who.between("mouth_width", 10, 17.5) * scene.how.between("smile", 0.9, 1.2)


def eyes(scene: Scene) -> None:
    """Eyes with irises, lashes and lids, gazing the same way."""
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
    socket = ellipse(m, v + 2, half + 3, above + 6)
    patch.paint(socket, scene.shadow, 0.35, soft=6)
    eye = almond(t, v, above, below)
    patch.paint(eye, rgb(0.97, 0.96, 0.95))
    patch.paint(eye.maximum(-v - above * 0.2 - 0.5), scene.shadow, 0.15)
    # The mirrored m points away from the nose, so a common gaze needs each side's sign.
    side = torch.sign(patch.u)
    across = m - side * how.bell("gaze_x", 2.2)
    down = v - how.bell("gaze_y", 1.5)
    size = 0.5 * half
    iris = palette(IRIS, who["iris_lightness"], who["iris_hue"])
    round_ = ellipse(across, down, size, size)
    patch.paint(eye.maximum(round_), iris * 0.5)
    patch.paint(eye.maximum(round_ + 0.8), iris)
    patch.paint(eye.maximum(round_ + 0.5 * size), rgb(0.03, 0.03, 0.03))
    glint = ellipse(across - side * 1.4 * torch.sign(scene.lit), down + 1.4, 1.2, 1.2)
    patch.paint(eye.maximum(glint), rgb(1, 1, 1))
    lash = (1.5 - 0.6 * who["masculinity"]) * (1 + 0.5 * t.clamp(-1, 1))
    lid = (v + above * (1 - t.square())).abs() - lash
    patch.paint(lid.maximum(m.abs() - half - 1), rgb(0.08, 0.05, 0.05))
    crease = ((v + above * (1 - t.square()) + 3.5).abs() - 0.5).maximum(m.abs() - half)
    patch.paint(crease, scene.shadow, 0.5)


def brows(scene: Scene) -> None:
    """Both eyebrows."""
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


def nose(scene: Scene) -> None:
    """Bridge, tip and nostrils of the nose."""
    who = scene.who
    patch = scene.feature(1.0, (-36, -22, 36, 58))
    u = patch.u
    half = who.between("nose_width", 4.5, 11)
    tip = who.between("nose_length", 19, 30)
    v = patch.v - tip
    # The bridge throws its shadow to the side away from the light.
    beside = -torch.sign(scene.lit) * u
    ridge = 2.5 + 0.5 * half * ramp(v, -20, -3)
    bridge = ((beside - ridge).abs() - 1.5).maximum(v + 3).maximum(-v - tip - 4)
    patch.paint(bridge, scene.shadow, 0.45, soft=4)
    ball = ellipse(u, v, half, 0.62 * half + 1)
    above = ellipse(u, v + 2.2, half + 0.3, 0.62 * half + 1)
    patch.paint(ball.maximum(-above), scene.shadow * 0.85, 0.85)
    nostrils = ellipse(u.abs() - 0.48 * half, v - 0.3 * half, 0.24 * half, 0.16 * half + 0.4)
    patch.paint(nostrils, scene.shadow * 0.5, 0.85)
    shine = ellipse(u - scene.lit, v + 2, 0.3 * half, 0.3 * half)
    patch.paint(shine, scene.skin * 0.5 + 0.5, 0.5, soft=3)


def mouth(scene: Scene) -> None:
    """Lips, and the teeth between them where the mouth is open."""
    who, how = scene.who, scene.how
    patch = scene.feature(0.7, (-44, 10, 44, 84))
    half = mouth_half(scene)
    t = patch.u / half
    smile = how.between("smile", -0.3, 6.5)
    v = patch.v - mouth_v(scene) + smile * (t.square() - 0.4)
    full = who.between("lip_thickness", 1.2, 5.2)
    gap = 6 * how.above("mouth_open", 0.5, 1.3)
    lips = torch.lerp(
        scene.skin * rgb(0.86, 0.58, 0.56),
        rgb(0.78, 0.10, 0.20),
        who.above("lip_colour", 0.3, 0.9).mul(0.85).unsqueeze(1),
    )
    patch.paint(almond(t, v - 3 - gap, full, full + 2), scene.shadow, 0.35, soft=4)
    patch.paint(almond(t, v, full, 1.25 * full + gap), lips)
    patch.paint(almond(t, v, full, torch.zeros_like(gap)), lips * 0.82)
    inside = almond(t * 1.05, v, torch.full_like(gap, 0.6), gap + 0.3)
    patch.paint(inside, rgb(0.25, 0.05, 0.06), 0.9)
    teeth = almond(t * 1.15, v, torch.zeros_like(gap), 0.65 * gap - 0.4)
    patch.paint(teeth, rgb(0.97, 0.96, 0.93), ramp(gap, 0.5, 1.5))
    shine = ellipse(patch.u, v - gap - 0.6 * full, 0.4 * half, 0.22 * full)
    patch.paint(shine, lips * 0.5 + 0.5, 0.5, soft=1.5)


def glasses(scene: Scene) -> None:
    """Glasses and sunglasses, on those who wear them."""
    who = scene.who
    patch = scene.feature(0.75, (-66, -34, 66, 40))
    worn = (who["glasses"] > GLASSES_ABOVE).double()
    tint = 0.10 + 0.8 * (who["glasses"] > SUNGLASSES_ABOVE).double()
    size = who.between("glasses_size", 10, 14.5)
    tall = size * (0.62 + 0.36 * who["glasses_roundness"])
    centre = who.between("eye_spacing", 16, 23).maximum(size + 2.5)
    frame = palette(FRAMES, torch.zeros_like(centre), who["glasses_colour"])
    thick = 0.9 + 1.1 * (1 - who["glasses_roundness"])
    m, v = patch.u.abs() - centre, patch.v - 2
    lens = box(m, v, size, tall, tall * who.between("glasses_roundness", 0.25, 1.0))
    patch.paint(lens, frame * 0.35 + 0.05, tint * worn)
    shine = ((m + 0.6 * v).abs() - 1.6).maximum(lens + 2)
    patch.paint(shine, rgb(1, 1, 1), 0.28 * worn, soft=2)
    ring = lens.abs() - thick
    beyond = (lens - 0.5).neg()
    # The arms end at the head's edge, which the yaw that moves the lenses does not move.
    past_head = (patch.u + 0.75 * scene.yaw).abs() - scene.width
    bar = ((v + 2).abs() - thick).maximum(beyond).maximum(past_head)
    patch.paint(torch.minimum(ring, bar), frame, worn)
