"""Grids of images as PNG bytes; equal input gives equal bytes.

A mosaic is composed pixel by pixel with nearest-neighbour upscaling, so that a 32-pixel face is
shown as it is; matplotlib only adds the words.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trapmid.report import frames as verdicts

_DPI = 100
_WIDTH = 96  # least width of one shown image in pixels
_GAP = 6  # between images
_LINE = 18  # height of one line of text
_EXAMPLES, _DRAWS = 3, 5  # private and rebuilt images of a person beside each other, at most

Place = Tensor | None


def image_grid(
    rows: Sequence[Sequence[Place]],
    *,
    title: str,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    frames: Sequence[Sequence[bool | None]] = (),
    note: str = "",
    gutter_after: int = 0,
) -> bytes:
    """A labelled grid of images as PNG bytes.

    Args:
        rows: images (3, S, S) of one size, uint8 or float (clamped to [0, 1]); None: left empty.
        title: one line above.
        row_labels: text left of each row; none: no margin.
        column_labels: text above each column, in one line or several; an empty string: none.
        frames: the verdict on an image (`frames.framed`); None: no frame.
        note: small words below, in one line or several.
        gutter_after: a wider gap after so many columns; 0: none.

    Raises:
        ValueError: there is no image, or labels or frames do not match the rows.
    """
    size = _size(rows)
    if row_labels and len(row_labels) != len(rows):
        raise ValueError(f"image_grid: {len(row_labels)} row labels for {len(rows)} rows")
    if frames and [len(f) for f in frames] != [len(r) for r in rows]:
        raise ValueError("image_grid: frames must have the shape of rows")
    scale = max(1, -(-_WIDTH // size))
    side = size * scale + 2 * verdicts.WIDTH
    columns = max(len(row) for row in rows)
    left = [_GAP + c * (side + _GAP) + (2 * _GAP * (0 < gutter_after <= c)) for c in range(columns)]
    canvas = torch.ones(3, _GAP + len(rows) * (side + _GAP), left[-1] + side + _GAP)
    for r, row in enumerate(rows):
        top = _GAP + r * (side + _GAP)
        for c, image in enumerate(row):
            if image is not None:
                tile = _tile(image, scale, frames[r][c] if frames else None)
                canvas[:, top : top + side, left[c] : left[c] + side] = tile
    return _annotate(canvas, title, note, row_labels, column_labels, left, side)


def _size(rows: Sequence[Sequence[Place]]) -> int:
    """The S that all images share; ValueError: they do not, or there is none."""
    sizes = {tuple(image.shape) for row in rows for image in row if image is not None}
    if len(sizes) != 1:
        raise ValueError(f"image_grid: needs images of one size, has {sorted(sizes)}")
    return int(sizes.pop()[-1])


def private_vs_reconstructed(
    *,
    private: Tensor,
    private_labels: Tensor,
    images: Tensor,
    labels: Tensor,
    hit: Tensor,
    found: Tensor,
    names: Mapping[int, str],
    identities: int,
    title: str,
) -> bytes:
    """Private training images beside what an attack made of each identity, as PNG bytes.

    The first `identities` attacked classes are shown, whatever their success.

    Args:
        private: (M, 3, S, S) private training images.
        private_labels: (M,) int64.
        images: (N, 3, S, S) reconstructions, in the order of their draws.
        labels: (N,) int64, the attacked classes.
        hit: (N,) bool, whether the evaluator recognises the class.
        found: (N,) bool, whether the attack has an answer; where not, the place stays empty.
        names: of people by label; one without a name is called by the label.
        identities: how many rows.
        title: one line above.
    """
    rows: list[list[Place]] = []
    frames: list[list[bool | None]] = []
    left = []
    for label in sorted(set(labels.tolist()))[:identities]:
        own, empty = labels == label, [None] * _EXAMPLES
        real = [*private[private_labels == label][:_EXAMPLES], *empty][:_EXAMPLES]
        rows.append([*real, *_answers(images[own], found[own])[:_DRAWS]])
        frames.append([*empty, *hit[own].tolist()[:_DRAWS]])
        left.append(f"{names.get(label, label)}\n{int(hit[own].sum())}/{int(own.sum())}")
    return image_grid(
        rows,
        title=title,
        row_labels=left,
        column_labels=["private", *[""] * (_EXAMPLES - 1), "reconstructed"],
        frames=frames,
        note="Left: the person, and how often it was recognised. Empty: not found. "
        + verdicts.LEGEND,
        gutter_after=_EXAMPLES,
    )


def _answers(images: Tensor, found: Tensor) -> list[Place]:
    """The images that an attack has found; None in the place of the others."""
    return [image if there else None for image, there in zip(images, found.tolist(), strict=True)]


def _tile(image: Tensor, scale: int, marked: bool | None) -> Tensor:
    """(3, side, side): the image upscaled by whole pixels, with its frame."""
    pixels = image.cpu().float().div(255) if image.dtype == torch.uint8 else image.cpu().float()
    large = pixels.clamp(0, 1).repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)
    return verdicts.framed(large, marked)


def _annotate(
    canvas: Tensor,
    title: str,
    note: str,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    left: Sequence[int],
    side: int,
) -> bytes:
    """The mosaic with its words around it."""
    import matplotlib  # when the work is done: a training should not wait for it
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    longest = max((len(line) for label in row_labels for line in label.split("\n")), default=0)
    margin = 8 * longest + 2 * _GAP if row_labels else 0
    lines = max((label.count("\n") + 1 for label in column_labels if label), default=0)
    above = _LINE * (bool(title) + lines) + _GAP
    below = _LINE * (note.count("\n") + 1) if note else 0
    height, width = canvas.shape[1] + above + below, canvas.shape[2] + margin
    width = max(width, 7 * max(map(len, [title, *note.split("\n")])))
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a matplotlibrc of the user must not change the bytes
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        figure.figimage(canvas.permute(1, 2, 0).numpy(), xo=margin, yo=below)

        def write(x: float, y: float, text: str, **style: str | float) -> None:
            figure.text(x / width, 1 - y / height, text, **{"size": 9.0, **style})  # type: ignore[arg-type]

        write(_GAP, _GAP, title, va="top", weight="bold")
        for x, label in zip(left, column_labels, strict=False):
            write(margin + x + verdicts.WIDTH, above, label, va="bottom")
        for r, label in enumerate(row_labels):
            y = above + _GAP + r * (side + _GAP) + side / 2
            write(margin - _GAP, y, label, ha="right", va="center")
        if note:
            write(_GAP, height - _GAP, note, va="bottom", size=8.0, color="0.35")
        stream = io.BytesIO()
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
