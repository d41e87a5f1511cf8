"""JPEG pixels together with libjpeg's own warnings, for processes that do nothing but decode.

Pillow throws the warnings away, so `jpeg.is_damaged` decodes a picture three times. torchvision's
libjpeg prints them on stderr. In a process of its own stderr can be a file, and then one decoding
says both: the pixels, and whether the data fit them. The pixels are Pillow's, bit for bit.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import warnings

import torch
from PIL import Image

_STDERR = 2
_DEPRECATED = "The image decoding and encoding capabilities"
_said: int | None = None  # bytes that libjpeg has printed; None: nobody listens


def listen() -> None:
    """From now on stderr of this process goes to a file without a name, and `decode` works.

    Where torchvision decodes no more, which it announces since 0.29, nothing is changed.
    """
    global _said
    try:
        importlib.import_module("torchvision.io").decode_jpeg  # noqa: B018
    except (ImportError, AttributeError):
        return
    warnings.filterwarnings("ignore", _DEPRECATED, DeprecationWarning)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), _STDERR)
    _said = 0


def listens() -> bool:
    """Whether `listen` was called here."""
    return _said is not None


def decode(content: bytes) -> Image.Image | None:
    """The RGB picture of a whole JPEG file.

    None: libjpeg warned of something or refused the file, so that it needs a closer look. This
    process must listen.
    """
    global _said
    from torchvision.io import ImageReadMode, decode_jpeg  # a second that only workers need

    before = _said
    pixels = None
    try:
        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        pixels = decode_jpeg(data, mode=ImageReadMode.RGB)  # (3, H, W)
    except (RuntimeError, ValueError):  # ValueError: no byte at all
        pass
    _said = os.fstat(_STDERR).st_size
    if pixels is None or _said != before:
        return None
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())
