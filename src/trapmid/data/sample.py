"""A picture of a prepared data set: a row per private identity, then public images."""

from __future__ import annotations

import io

import torch
from torch import Tensor

from trapmid.data.prepare import Prepared

_PEOPLE, _COLUMNS, _PUBLIC_ROWS = 8, 10, 2


def draw(prepared: Prepared, title: str) -> bytes:
    """A PNG with training images of the first identities and images spread over the public set."""
    labels, images = prepared.private["train_labels"], prepared.private["train_images"]
    people = prepared.private["identities"].tolist()[:_PEOPLE]
    rows = [
        (f"label {label}\nid {identity}", images[labels == label][:_COLUMNS])
        for label, identity in enumerate(people)
    ]
    shown = min(_PUBLIC_ROWS * _COLUMNS, len(prepared.public))
    spread = torch.linspace(0, len(prepared.public) - 1, shown).long()
    rows += [("public", prepared.public[chunk]) for chunk in torch.split(spread, _COLUMNS)]
    return _grid(rows, title)


def _grid(rows: list[tuple[str, Tensor]], title: str) -> bytes:
    """One canvas for all images: a hundred small axes would take seconds to lay out."""
    from matplotlib.figure import Figure  # when the work is done: no stage should wait for it

    size = rows[0][1].shape[-1]
    gap = max(1, size // 16)
    step = size + gap
    canvas = torch.full((len(rows) * step - gap, _COLUMNS * step - gap, 3), 255, dtype=torch.uint8)
    for line, (_, images) in enumerate(rows):
        for column, image in enumerate(images):
            top, left = line * step, column * step
            canvas[top : top + size, left : left + size] = image.permute(1, 2, 0)
    # A Figure without pyplot: no global state, no display, the same bytes every time.
    figure = Figure(figsize=(_COLUMNS * 0.9 + 1, len(rows) * 0.9 + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(canvas.numpy(), interpolation="nearest")
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([line * step + size / 2 for line in range(len(rows))], [r[0] for r in rows])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, metadata={"Software": None})
    return stream.getvalue()
