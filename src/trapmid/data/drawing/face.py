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

from collections.abc import Callable

from torch import Tensor

from trapmid.data.drawing.features import brows, eyes, glasses, mouth, nose
from trapmid.data.drawing.head import ears, front_hair, head, strands, wrinkles
from trapmid.data.drawing.scene import VIEWS, Scene, scene_of
from trapmid.data.drawing.surroundings import background, body, light
from trapmid.data.drawing.vectors import ATTRIBUTES, NUISANCES


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
    if framing not in VIEWS:
        raise ValueError(f"framing must be one of {sorted(VIEWS)}, got {framing!r}")
    wanted = ((len(identities), len(ATTRIBUTES)), (len(identities), len(NUISANCES)))
    given = (tuple(identities.shape), tuple(nuisances.shape))
    if given != wanted:
        raise ValueError(f"identities and nuisances must have shapes {wanted}, got {given}")
    scene = scene_of(identities, nuisances, height, width, framing)
    background(scene)
    behind = scene.patch(-90, -112, 90, 106)
    hair = behind.cover(scene.hair_distance[behind.window])
    strands(scene, behind, hair)
    for layer in _LAYERS:
        layer(scene)
    return scene.canvas


_LAYERS: tuple[Callable[[Scene], None], ...] = (
    body,
    ears,
    head,
    wrinkles,
    nose,
    mouth,
    eyes,
    brows,
    glasses,
    front_hair,
    light,
)
