"""Picture files as people have them, read upright in eight bits, or refused by name."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from trapmid.data import jpeg, libjpeg
from trapmid.data.listing import DataError, check_regular

# Of a picture that is too large, or whose EXIF is broken, Pillow warns; here both are errors.
warnings.filterwarnings("error", module=r"PIL\.(Image|TiffImagePlugin)$")

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_JPEGS = ("JPEG", "MPO")  # MPO: a telephone's .jpg with a second picture behind the first
_USUAL = 2**24  # bytes of a file that is read as a whole
_LYING = range(5, 9)  # EXIF: width and height change places


def read_picture(file: Path, mode: str, size: tuple[int, int] | None) -> Image.Image:
    """The picture in PIL mode `mode`, upright by its EXIF orientation.

    Grey of 16 bits is scaled to eight. Colours of print need a profile and numbers of 32 bits a
    range, so they are refused; so is transparency, for nobody knows what would be behind it.

    Args:
        file: a regular file.
        mode: "RGB" or "L".
        size: the width and height that it must measure; None: any.

    Raises:
        DataError: the file is missing, cannot be decoded, or is none of the above.
    """
    check_regular(file, "image")
    if libjpeg.listens() and (quick := _quickly(file, size)) is not None:
        return quick if mode == "RGB" else quick.convert(mode)
    try:
        with Image.open(file) as opened:
            _check_size(file, opened, size)
            _check_intact(file, opened)
            return _plain(file, ImageOps.exif_transpose(opened), mode)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{file}: corrupt image (no known picture format)") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"{size[0]}x{size[1]}" if size else f"under {Image.MAX_IMAGE_PIXELS:,} pixels"
        raise DataError(f"{file}: is too large, must be {most}") from None
    except Exception as error:  # a decoder raises anything at damaged bytes
        raise DataError(f"{file}: corrupt image ({' '.join(str(error).split())})") from None


def measure(file: Path) -> tuple[int, int]:
    """Width and height, from the picture's head alone.

    Raises:
        DataError: the file is missing, or no picture.
    """
    check_regular(file, "image")
    try:
        with Image.open(file) as opened:
            return opened.size
    except Exception:  # a decoder raises anything at damaged bytes; what is wrong, it says below
        return read_picture(file, "RGB", None).size


def to_tensor(picture: Image.Image, size: int) -> Tensor:
    """An RGB picture as (3, size, size) uint8, resized by PIL's antialiasing bilinear filter."""
    scaled = picture.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(scaled).transpose(2, 0, 1).copy())


def _check_size(file: Path, picture: Image.Image, size: tuple[int, int] | None) -> None:
    width, height = picture.size
    if picture.getexif().get(ExifTags.Base.Orientation) in _LYING:
        width, height = height, width
    if size not in (None, (width, height)):
        raise DataError(f"{file}: is {width}x{height}, must be {size[0]}x{size[1]}")


def _quickly(file: Path, size: tuple[int, int] | None) -> Image.Image | None:
    """A usual JPEG that libjpeg takes for whole, decoded once; None: it needs a closer look."""
    try:
        content = file.read_bytes() if file.stat().st_size <= _USUAL else b""
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as head:
            turned = head.getexif().get(ExifTags.Base.Orientation, 1) != 1
            usual = head.mode == "RGB" and not turned and size in (None, head.size)
            if not usual or jpeg.has_gap(content, 3 * head.width * head.height):
                return None
    except Exception:  # what is wrong with it, the closer look says
        return None
    return libjpeg.decode(content)


def _check_intact(file: Path, picture: Image.Image) -> None:
    if picture.format in _JPEGS and jpeg.is_damaged(file.read_bytes(), picture.tobytes()):
        raise DataError(f"{file}: corrupt image (its data do not fit its pixels)")


def _plain(file: Path, picture: Image.Image, mode: str) -> Image.Image:
    """Opaque pixels of eight bits."""
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture)
        if np.any(values == picture.info.get("transparency")):
            raise _transparent(file)
        picture = Image.fromarray(np.rint(values / 257).astype(np.uint8))  # 65,535 becomes 255
    if picture.mode not in _MODES:
        raise DataError(
            f"{file}: has pixels of the kind {picture.mode}, must be RGB, a palette or grey"
        )
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema() != (255, 255):
            raise _transparent(file)
    return picture.convert(mode)


def _transparent(file: Path) -> DataError:
    return DataError(f"{file}: is transparent in part, must be opaque")
