"""A verdict is told by its shape: in grey, and by whoever sees no colours."""

from __future__ import annotations

import pytest
import torch

from trapmid.report.frames import HIT, MISS, WIDTH, framed

IMAGE = torch.full((3, 96, 96), 0.5)


def border(tile):
    """The outermost line of pixels above, left to right."""
    return tile[:, 0]


def marked(line):
    """(n,) bool: which pixels are not white."""
    return (line < 1).any(dim=0)


def test_a_hit_is_closed_and_a_miss_is_dashed():
    assert marked(border(framed(IMAGE, True))).all()
    dashes = marked(border(framed(IMAGE, False)))
    changes = int((dashes[1:] != dashes[:-1]).sum())
    assert 0.4 < dashes.float().mean() < 0.8 and changes >= 8
    assert not marked(border(framed(IMAGE, None))).any()


@pytest.mark.parametrize(("verdict", "colour"), [(True, HIT), (False, MISS)])
def test_the_corner_has_a_mark_of_its_own(verdict, colour):
    """Fifteen pixels square; the rest of the image is as it was."""
    tile = framed(IMAGE, verdict)
    inside = tile[:, WIDTH:-WIDTH, WIDTH:-WIDTH]
    corner = inside[:, :15, -15:]
    coloured = (corner - torch.tensor(colour)[:, None, None]).abs().amax(dim=0) < 0.01
    assert 20 < int(coloured.sum()) < 120
    rest = torch.ones(96, 96, dtype=torch.bool)
    rest[:15, -15:] = False
    assert torch.equal(inside[:, rest], IMAGE[:, rest])


def test_tick_and_cross_differ_in_shape():
    """A cross is its own mirror image, a tick is not."""
    corners = [
        framed(IMAGE, verdict)[:, WIDTH : WIDTH + 15, -WIDTH - 15 : -WIDTH] for verdict in (1, 0)
    ]
    tick, cross = ((corner < 1).any(dim=0) for corner in corners)
    assert (cross != cross.flip(1)).float().mean() < 0.05
    assert (tick != tick.flip(1)).float().mean() > 0.1


def test_the_colours_differ_in_lightness_and_hue():
    """Blue and orange: more blue than red, more red than blue; and not one grey."""
    grey = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (HIT, MISS)]
    assert HIT[2] > HIT[0] and MISS[0] > MISS[2] and abs(grey[0] - grey[1]) > 0.05


def test_an_image_without_a_verdict_is_untouched():
    assert torch.equal(framed(IMAGE, None)[:, WIDTH:-WIDTH, WIDTH:-WIDTH], IMAGE)
