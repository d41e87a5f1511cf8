"""The head: skin, ears, beard, wrinkles, and the hair behind and before the face."""

from __future__ import annotations

import torch
from torch import Tensor

from trapmid.data.drawing.colours import rgb
from trapmid.data.drawing.features import mouth_half, mouth_v
from trapmid.data.drawing.scene import Scene
from trapmid.data.drawing.shapes import Patch, almond, ellipse, ramp
from trapmid.data.drawing.vectors import BALD_BELOW, STUBBLE_ABOVE


def strands(scene: Scene, patch: Patch, cover: Tensor) -> None:
    """Paint hair where `cover` (N, h, w) says, with strands and a glossy band on top."""
    patch.blend(scene.hair, cover)
    patch.blend(scene.hair * 0.55, (scene.strands[patch.window] * cover).mul_(0.45))
    gloss = (1 - ((patch.v + 48) / 11).square_()).clamp_(0, 1).mul_(cover).mul_(0.22)
    patch.blend(scene.hair * 0.6 + 0.4, gloss)


def ears(scene: Scene) -> None:
    """Both ears, set back from the face."""
    patch = scene.feature(-0.6, (-72, -30, 72, 45))
    size = scene.who.between("ear_size", 5, 11)
    across = patch.u.abs() - scene.width + 1.0
    ear = ellipse(across, patch.v - 5, 0.75 * size, 1.25 * size)
    patch.paint(ear, torch.lerp(scene.skin, scene.shadow, 0.25))
    inner = ellipse(across - 0.25 * size, patch.v - 4, 0.4 * size, 0.8 * size)
    patch.paint(inner, scene.shadow, 0.6, soft=2)


def head(scene: Scene) -> None:
    """The face's skin with its shading, blush and beard."""
    patch = scene.patch(-72, -78, 72, 82)
    u, v = patch.u, patch.v
    face = scene.face_distance[patch.window]
    cover = patch.cover(face)
    patch.blend(scene.skin, cover)
    # The side away from the light, then the rim all round, fall into shadow.
    strength = scene.how.between("light_strength", 0.0, 0.75)
    away = (-(scene.lit * u / scene.width) - 0.5 * scene.lit_v * v / 58 + 0.1).clamp_(0, 1)
    rim = ramp(face, -0.3 * scene.width, 0.05 * scene.width)
    patch.blend(scene.shadow, (away * strength + 0.35 * rim).clamp_(0, 1).mul_(cover))
    glow = (scene.lit * u / scene.width - 0.4).clamp_(0, 1).mul_(0.5 * strength)
    patch.blend(scene.skin * 0.5 + 0.5, glow.mul_(cover))
    cheeks = ellipse((u - 0.5 * scene.yaw).abs() - 0.56 * scene.width, v - 20, 10.0, 8.0)
    blush = scene.skin * rgb(1.0, 0.66, 0.66)
    patch.paint(cheeks, blush, scene.who.between("blush", 0.1, 0.65), soft=9)
    _beard(scene, patch, face)


def _beard(scene: Scene, patch: Patch, face: Tensor) -> None:
    """Stubble, goatee or full beard, with a moustache."""
    who = scene.who
    u, v = patch.u - 0.5 * scene.yaw, patch.v - 0.5 * scene.pitch
    opacity = 0.35 * who.above("facial_hair", STUBBLE_ABOVE - 0.01, STUBBLE_ABOVE + 0.01)
    opacity = opacity + 0.6 * who.above("facial_hair", 0.62, 0.72)
    mouth = mouth_v(scene)
    full = ramp(who["beard_shape"], 0.35, 0.55)
    across = u.abs() / scene.width
    # A goatee keeps to the middle; a full beard climbs to the sideburns.
    line = mouth + 2 - (mouth - 2) * ramp(across, 0.45, 0.98)
    beard = torch.maximum(face - 2, line - v)
    goatee = torch.maximum(ellipse(u, v - scene.chin + 4, 15.0, scene.chin - mouth), face - 3)
    shape = torch.lerp(goatee, beard, full)
    half = mouth_half(scene) + 2
    moustache = almond(u / half, v - mouth + 4, torch.full_like(half, 4.5), half * 0.2)
    hair = scene.hair * 0.8
    patch.paint(torch.minimum(shape, moustache), hair, opacity, soft=3)


def wrinkles(scene: Scene) -> None:
    """Folds beside the mouth, bags under the eyes and lines on the forehead, with age."""
    who = scene.who
    patch = scene.feature(0.6, (-50, -52, 50, 66))
    old = who.above("age", 0.45, 0.95)
    m, v = patch.u.abs(), patch.v
    fold = 9 + 0.42 * (v - 22)
    folds = ((m - fold).abs() - 0.7).maximum((v - 28).abs() - 7)
    bags = ellipse(m - who.between("eye_spacing", 16, 23), v - 5, 9.0, 6.0).abs() - 0.7
    bags = bags.maximum(7 - v)
    lines = (torch.remainder(v, 6.0) - 3).abs() - 0.6
    lines = lines.maximum(m - 20).maximum((v + 31).abs() - 9)
    patch.paint(torch.minimum(folds, bags).minimum(lines), scene.shadow * 0.8, 0.75 * old)


def front_hair(scene: Scene) -> None:
    """The hair before the forehead, and the locks beside the cheeks."""
    who = scene.who
    patch = scene.patch(-80, -100, 80, 106)
    u, v = patch.u - 0.4 * scene.yaw, patch.v - 0.4 * scene.pitch
    hair = scene.hair_distance[patch.window]
    amount = who.above("hair_amount", BALD_BELOW, 0.55)
    across = u.abs() / scene.width
    part = who.between("parting", -24, 24)
    height = -46 + who.between("fringe", 0, 29) * amount
    drop = 30 * ramp(across, 0.5, 1.0)
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
    strands(scene, patch, patch.cover(front).mul_(shown))
