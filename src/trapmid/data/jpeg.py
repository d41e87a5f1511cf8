"""Damage inside a JPEG file, which its decoder passes over in silence.

A JPEG holds no checksum, and Pillow swallows the decoder's warnings. But damage of some hundred
bytes nearly always changes how many pixels the data are enough for: they end before the last pixel,
or some of them are left over. Both show in a second decoding. Zeros of a lost sector show where
they are more than a flat picture has. Other damage is not seen; data/README.md has the shares.
"""

from __future__ import annotations

import io

from PIL import Image

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_MORE = b"\x9b" * 72  # of several values the one that shows most often that pixels were missing
_TAIL = 8  # bytes; of a flat corner four may mean nothing that is seen
_TAILS = (b"\x55", b"\x9b", b"\x00")


def is_damaged(content: bytes, pixels: bytes) -> bool:
    """Whether the data of a JPEG file are too short or too long for its pixels, or lost in part.

    A picture of nothing but mid grey, which is what missing data look like, may be called damaged.

    Args:
        content: the file.
        pixels: what it decodes to, as `Image.tobytes` gives it.
    """
    start = _data(content)
    end = content.find(_END, start)
    if min(start, end) < 0:
        return False  # without an end the decoder itself complains
    if has_gap(content, len(pixels)) or _decoded(content[:end] + _MORE + content[end:]) != pixels:
        return True
    tails = _TAILS if end - start >= _TAIL else ()
    changed = (content[: end - _TAIL] + one * _TAIL + content[end:] for one in tails)
    return bool(tails) and all(_decoded(one) == pixels for one in changed)


def has_gap(content: bytes, values: int) -> bool:
    """Whether zeros lie in the data of a JPEG file that are more than a flat picture has.

    Args:
        content: the file.
        values: how many it decodes to, channels included.
    """
    start = _data(content)
    lost = bytes(values // 128 + 64)  # four bits for every block of 64 values, and some
    return start >= 0 and content.find(lost, start, content.find(_END, start)) >= 0


def _data(content: bytes) -> int:
    """Where the data of the first scan begin; -1: the segments before it cannot be followed."""
    place = 2
    while content[place : place + 1] == b"\xff" and place + 4 <= len(content):
        after = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        if content[place : place + 2] == _SCAN:
            return after
        place = after
    return -1


def _decoded(content: bytes) -> bytes:
    """The pixels; no byte where the decoder refuses."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return picture.tobytes()
    except (OSError, SyntaxError, ValueError):
        return b""
