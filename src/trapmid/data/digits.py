"""scikit-learn's handwritten digits (Alpaydin & Kaynak, UCI 1998): 1,797 real 8x8 images.

images/00000.png ...    grey
labels.txt              lines "00000.png 7"

They come with a dependency, so a study of real input runs without a download. With five private
digits it proves nothing scientifically; the MI literature's MNIST set-up is the same 0-4 and 5-9.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from trapmid.data import listing, pictures
from trapmid.data.listing import DataError, Entry

LIST = "labels.txt"
FOLDER = "images"
_WHITE = 16  # the largest grey value of the data set


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Exports the digits to files."""

    scale: int  # every pixel becomes scale x scale pixels, so that people can see something

    def __post_init__(self) -> None:
        if not 1 <= self.scale <= 64:
            raise ValueError(f"scale: {self.scale} is outside 1..64")

    def make(self, folder: Path, log: Callable[[str], None]) -> None:
        """Writes `folder`, all or nothing.

        Raises:
            FileExistsError: `folder` exists and is not empty.
        """
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} exists and is not empty")
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        try:
            count = self._write(partial)
            partial.replace(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        log(f"{folder}: {count} digits of {8 * self.scale}x{8 * self.scale}")

    def _write(self, folder: Path) -> int:
        from sklearn.datasets import load_digits  # here: the reader should not wait seconds for it

        (folder / FOLDER).mkdir(parents=True)
        grey, labels = load_digits(return_X_y=True)  # (N, 64) in 0..16, (N,)
        pixels = np.rint(grey.reshape(-1, 8, 8) * (255 / _WHITE)).astype(np.uint8)
        pixels = pixels.repeat(self.scale, axis=1).repeat(self.scale, axis=2)
        names = [f"{index:05d}.png" for index in range(len(pixels))]
        for name, image in zip(names, pixels, strict=True):
            Image.fromarray(image).save(folder / FOLDER / name)
        lines = [f"{name} {label}\n" for name, label in zip(names, labels, strict=True)]
        (folder / LIST).write_text("".join(lines), encoding="utf-8")
        return len(names)


class Reader(listing.Reader):
    """Reads what `Maker` writes; the digit is the identity."""

    def entries(self, root: Path) -> list[Entry]:
        named = listing.read_list(root / LIST)
        for name, digit, line in named:
            if digit > 9:
                raise DataError(f"{root / LIST}: {name} is labelled {digit}, not 0..9 ({line})")
        return sorted(Entry(root / FOLDER / name, digit, line) for name, digit, line in named)

    def load(self, file: Path, size: int) -> Tensor:
        """The whole grey picture in three equal channels."""
        picture = pictures.read_picture(file, "L", None)
        return pictures.to_tensor(picture.convert("RGB"), size)
