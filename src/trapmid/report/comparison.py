"""The picture of the study: the same people, private and as each attack found them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from trapmid.report.pictures import image_grid

_EXAMPLES, _DRAWS = 2, 2  # images per row and group: enough to see, few enough to compare


class Made(NamedTuple):
    """What one attack made of one target."""

    images: Tensor  # (N, 3, S, S), in the order of their draws
    labels: Tensor  # (N,) int64, the attacked classes
    hit: Tensor  # (N,) bool: the evaluator recognises the class


def compare(
    title: str,
    private: Tensor,
    private_labels: Tensor,
    made: Mapping[str, Made],
    identities: int,
) -> bytes:
    """A PNG: a row per identity; private images, then the first reconstructions of each defence.

    The first attacked identities are shown, whatever the result.

    Args:
        title: one line above.
        private: (M, 3, S, S) private training images.
        private_labels: (M,) int64.
        made: by defence, in the order of the columns.
        identities: how many rows, at most.
    """
    shown = sorted(set.intersection(*(set(one.labels.tolist()) for one in made.values())))
    rows, frames, names = [], [], []
    for label in shown[:identities]:
        real = private[private_labels == label][:_EXAMPLES]
        row: list[Tensor | None] = [*real, *[None] * (_EXAMPLES - len(real))]
        frame: list[bool | None] = [None] * _EXAMPLES
        for one in made.values():
            own = one.labels == label
            images, hit = one.images[own][:_DRAWS], one.hit[own][:_DRAWS]
            row += [*images, *[None] * (_DRAWS - len(images))]
            frame += [*hit.tolist(), *[None] * (_DRAWS - len(hit))]
        rows.append(row)
        frames.append(frame)
        names.append(str(label))
    heads = ["private"] * _EXAMPLES + [name for name in made for _ in range(_DRAWS)]
    return image_grid(
        rows,
        title=title,
        row_labels=names,
        column_labels=heads,
        frames=frames,
        note="Frame: green, the evaluator recognises the person; red, it does not.",
        gutter_after=_EXAMPLES,
    )
