"""Real faces that travel to the GPU's machine: one file, in a folder that Git ignores.

Images are JPEGs without chroma subsampling, at the highest quality that fits: lossy, as the files
of CelebA are. What reads them needs torch, NumPy and Pillow alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gpu.results import PREPARED, ROOT
from trapmid import wiring
from trapmid.config import params
from trapmid.config.study import DataRow
from trapmid.data.prepare import prepare
from trapmid.profiles.compose import compose

FILE = PREPARED / "faces.pt"
LIMIT = 40 * 2**20  # bytes
QUALITIES = (95, 93, 91, 89, 87, 85, 80, 75)
_THREADS = 8  # Pillow works outside the interpreter's lock


class Faces(NamedTuple):
    """A prepared data set in memory."""

    train_images: Tensor  # (N, 3, S, S) uint8
    train_labels: Tensor  # (N,) int64
    test_images: Tensor
    test_labels: Tensor
    public: Tensor  # (M, 3, S, S) uint8
    people: Tensor  # (M,) int64, whom a public image shows

    @property
    def size(self) -> int:
        """The side of the images."""
        return self.public.shape[-1]

    @property
    def classes(self) -> int:
        """How many people are private."""
        return int(self.train_labels.max()) + 1


def main(folder: Path) -> None:
    """Packs the people of `folder`, CelebA's layout, and says what it made."""
    faces = read(folder, row_of_profile())
    quality = pack(faces, FILE)
    size = FILE.stat().st_size / 2**20
    print(
        f"{FILE.relative_to(ROOT)}: {faces.classes} people, {len(faces.train_labels)} training, "
        f"{len(faces.test_labels)} test and {len(faces.public)} public images of {faces.size} "
        f"pixels, JPEG of quality {quality}, {size:.1f} MiB; never commit it"
    )


def row_of_profile() -> DataRow:
    """The data row of `celeba_mid`."""
    study = params.parse(compose("celeba_mid", folder=ROOT / "profiles"))
    return params.build(DataRow, params.section(study, "data.celeba"), "data.celeba")


def read(folder: Path, row: DataRow) -> Faces:
    """The people of `row`, read from `folder` in the layout of its private side."""
    source = replace(row.private, path=str(folder))
    reader = wiring.reader(source.reader)
    prepared = prepare(replace(row, private=source, public=source), reader, reader)
    people = [int(r.identity.rpartition(":")[2]) for r in prepared.manifest if r.split == "public"]
    names = ("train_images", "train_labels", "test_images", "test_labels")
    private = [prepared.private[name] for name in names]
    return Faces(*private, prepared.public, torch.tensor(people))


def pack(faces: Faces, file: Path, limit: int = LIMIT) -> int:
    """Writes `faces` in one file and returns the JPEGs' quality.

    Raises:
        ValueError: even the lowest quality needs more than `limit` bytes.
    """
    everything = torch.cat([faces.train_images, faces.test_images, faces.public])
    images = everything.permute(0, 2, 3, 1).numpy()
    for quality in QUALITIES:
        files = _encode(images, quality)
        content = _content(faces, files)
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, file)
        if file.stat().st_size <= limit:
            return quality
    file.unlink()
    raise ValueError(f"{file}: needs more than {limit} bytes at quality {QUALITIES[-1]}")


def unpack(file: Path) -> Faces:
    """What `pack` wrote, but for what JPEG loses.

    Raises:
        FileNotFoundError: nothing was packed.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: not there; on_gpu.sh --prepare --faces FOLDER makes it")
    content: dict[str, Tensor] = torch.load(file, weights_only=True)
    ends = content["lengths"].cumsum(0).tolist()
    data = content["data"].numpy().tobytes()
    starts = [0, *ends[:-1]]
    with ThreadPoolExecutor(_THREADS) as pool:
        images = list(
            pool.map(lambda part: _decode(data[slice(*part)]), zip(starts, ends, strict=True))
        )
    whole = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    labels = content["train_labels"], content["test_labels"]
    counts = [len(labels[0]), len(labels[1]), len(content["people"])]
    train, test, public = whole.split(counts)
    return Faces(train, labels[0], test, labels[1], public, content["people"])


def _content(faces: Faces, files: Sequence[bytes]) -> dict[str, Any]:
    return {
        "data": torch.from_numpy(np.frombuffer(b"".join(files), dtype=np.uint8).copy()),
        "lengths": torch.tensor([len(one) for one in files]),
        "train_labels": faces.train_labels,
        "test_labels": faces.test_labels,
        "people": faces.people,
    }


def _encode(images: Any, quality: int) -> list[bytes]:
    def one(image: Any) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
        return stream.getvalue()

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(one, images))


def _decode(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
