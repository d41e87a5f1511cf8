"""Drawn faces as images: in memory or in files, several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from trapmid.data import celeba
from trapmid.data.drawing.face import render
from trapmid.data.drawing.vectors import NUISANCES, identity_vectors, nuisance_vectors
from trapmid.data.pictures import to_tensor

_CHUNK = 8  # images drawn at a time: few enough for their temporaries to stay in the caches
_WORKERS = 2
CELEBA_SIZE = (218, 178)


@contextmanager
def _one_thread_an_operation() -> Iterator[None]:
    """Make torch's operations single-threaded inside the block.

    Chunks already occupy the cores; splitting small operations as well makes threads wait for
    each other, which on a busy machine costs more than ten times the drawing itself.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _save(pixels: Tensor, path: Path, quality: int) -> None:
    """Encode uint8 (H, W, 3) `pixels`; `quality` matters to JPEG only."""
    image = Image.fromarray(pixels.numpy())
    if path.suffix == ".jpg":
        image.save(path, quality=quality)
    else:
        image.save(path, compress_level=3)


def draw(
    pairs: Sequence[tuple[int, int]], *, seed: int, domain: str, size: tuple[int, int]
) -> Tensor:
    """Draw images as they are written to a file.

    Args:
        pairs: N pairs (identity index, image index).
        seed: seed of the whole data set.
        domain: "celeba" or "ffhq".
        size: height and width in pixels.

    Returns:
        uint8 (N, height, width, 3), RGB, the same on every processor.

    Raises:
        ValueError: if `domain` is unknown.
    """
    identities = identity_vectors([identity for identity, _ in pairs], seed=seed, domain=domain)
    nuisances = nuisance_vectors(pairs, seed=seed, domain=domain)
    drawn = render(identities, nuisances, height=size[0], width=size[1], framing=domain)
    return drawn.mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def portraits(pairs: Sequence[tuple[int, int]], *, seed: int, size: int) -> Tensor:
    """Draw faces as a study sees CelebA's, in memory: cropped and resized, never a JPEG file.

    Args:
        pairs: N pairs (identity index, image index).
        seed: seed of the whole data set.
        size: pixels of a side.

    Returns:
        uint8 (N, 3, size, size), RGB. An image depends on the seed and its own pair only.
    """

    def prepared(chunk: Sequence[tuple[int, int]]) -> list[Tensor]:
        drawn = draw(chunk, seed=seed, domain="celeba", size=CELEBA_SIZE)
        pictures = [Image.fromarray(pixels.numpy()).crop(celeba.CROP) for pixels in drawn]
        return [to_tensor(picture, size) for picture in pictures]

    chunks = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    with _one_thread_an_operation(), ThreadPoolExecutor(_WORKERS) as pool:
        return torch.stack([image for part in pool.map(prepared, chunks) for image in part])


def _draw_chunk(
    pairs: Sequence[tuple[int, int]],
    paths: Sequence[Path],
    *,
    seed: int,
    domain: str,
    size: tuple[int, int],
) -> int:
    """Draw the image of each (identity, image) pair into its path; returns their number."""
    nuisances = nuisance_vectors(pairs, seed=seed, domain=domain)
    qualities = (75 + 20 * nuisances[:, NUISANCES.index("jpeg_quality")]).int().tolist()
    drawn = draw(pairs, seed=seed, domain=domain, size=size)
    for image, path, quality in zip(drawn, paths, qualities, strict=True):
        _save(image, path, quality)
    return len(pairs)


def draw_all(
    pairs: Sequence[tuple[int, int]],
    paths: Sequence[Path],
    *,
    seed: int,
    domain: str,
    size: tuple[int, int],
    quiet: bool = False,
) -> None:
    """Draw all images, in chunks on `_WORKERS` threads, with a progress bar unless `quiet`."""
    pool = ThreadPoolExecutor(_WORKERS)
    progress = tqdm(
        total=len(pairs), desc=f"drawing {domain}", unit="img", mininterval=2, disable=quiet
    )
    with _one_thread_an_operation(), pool, progress:
        draw_chunk = partial(_draw_chunk, seed=seed, domain=domain, size=size)
        chunks = [slice(start, start + _CHUNK) for start in range(0, len(pairs), _CHUNK)]
        futures = [pool.submit(draw_chunk, pairs[chunk], paths[chunk]) for chunk in chunks]
        try:
            for future in futures:
                progress.update(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)  # else a failure would draw the rest first
            raise
