"""The picture of the study: the same people, private and as each attack found them."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from trapmid.report.frames import LEGEND
from trapmid.report.pictures import image_grid

_EXAMPLES, _DRAWS = 2, 2  # images per row and group: enough to see, few enough to compare
_BAND = 5  # defences side by side; more go below, or a page would show them as small as stamps
_HEAD = 28  # letters of a line over two images
_ROWS, _LEAST = 24, 3  # of the whole picture at most, and of a band at least


class _Places(NamedTuple):
    """Images of one person that stand beside each other."""

    images: list[Tensor | None]  # None: left empty
    hits: list[bool | None]  # whether the evaluator recognises the person; None: no verdict


class Made(NamedTuple):
    """What one attack made of one target."""

    images: Tensor  # (N, 3, S, S), in the order of their draws
    labels: Tensor  # (N,) int64, the attacked classes
    hit: Tensor  # (N,) bool: the evaluator recognises the class
    found: Tensor | None = None  # (N,) bool; False: the attack has no answer; None: it has all

    def of(self, label: int) -> _Places:
        """The first `_DRAWS` answers for one person, filled up with empty places."""
        own = self.labels == label
        images, hit = self.images[own][:_DRAWS], self.hit[own][:_DRAWS]
        found = [True] * len(images) if self.found is None else self.found[own].tolist()
        empty = [None] * (_DRAWS - len(images))
        there = [image if one else None for image, one in zip(images, found, strict=False)]
        return _Places([*there, *empty], [*hit.tolist(), *empty])

    def only(self, people: Sequence[int]) -> Made:
        """Copies of what is shown of these people, so that all else can leave the memory."""
        rows = torch.cat([(self.labels == label).nonzero()[:_DRAWS, 0] for label in people])
        found = None if self.found is None else self.found[rows]
        return Made(self.images[rows], self.labels[rows], self.hit[rows], found)


def compare(
    title: str,
    private: Tensor,
    private_labels: Tensor,
    made: Mapping[str, Made],
    people: Mapping[int, str],
    identities: int,
) -> bytes:
    """A PNG: a row per identity; private images, then the first reconstructions of each defence.

    Whom it shows, `people_in` says. Many defences go into several bands of equal people.

    Args:
        title: one line above.
        private: (M, 3, S, S) private training images.
        private_labels: (M,) int64.
        made: by the defence's name, in the order of the columns.
        people: names by label; one without a name is called by the label.
        identities: how many people, at most.
    """
    labels = people_in([one.labels for one in made.values()], identities)
    width = math.ceil(len(made) / _bands(len(made)))  # bands of about equal width
    names = list(made)
    bands = [names[start : start + width] for start in range(0, len(names), width)]
    return stacked(
        [
            _band(
                title if len(bands) == 1 else f"{title}, {i} of {len(bands)}",
                private,
                private_labels,
                {name: made[name] for name in band},
                {label: people.get(label, str(label)) for label in labels},
            )
            for i, band in enumerate(bands, start=1)
        ]
    )


def people_in(attacked: Sequence[Tensor], identities: int) -> list[int]:
    """The labels of the people whom a picture shows, of the labels (N,) that every attack met.

    The first identities whom the attack met under every defence are shown, whatever the result;
    where these share nobody, the first of all, with empty places. Of many defences fewer.
    """
    met = [set(labels.tolist()) for labels in attacked]
    shown = sorted(set.intersection(*met) or set.union(*met))
    return shown[: min(identities, max(_LEAST, _ROWS // _bands(len(met))))]


def _bands(defenses: int) -> int:
    return math.ceil(defenses / _BAND)


def _band(
    title: str,
    private: Tensor,
    private_labels: Tensor,
    made: Mapping[str, Made],
    people: Mapping[int, str],
) -> bytes:
    """One grid: the people, names by label, below each other, the defences side by side."""
    lines = [_line(private[private_labels == label], label, made.values()) for label in people]
    # A name stands over the first of its images only: a long one needs the room of both.
    heads = ["private", *[""] * (_EXAMPLES - 1)]
    for name in made:
        heads += [textwrap.fill(name, _HEAD), *[""] * (_DRAWS - 1)]
    return image_grid(
        [line.images for line in lines],
        title=title,
        row_labels=list(people.values()),
        column_labels=heads,
        frames=[line.hits for line in lines],
        note=LEGEND,
        gutter_after=_EXAMPLES,
    )


def _line(private: Tensor, label: int, made: Iterable[Made]) -> _Places:
    """One person: private images, without a verdict, then the answers of every attack."""
    answers = [one.of(label) for one in made]
    real = private[:_EXAMPLES]
    empty = [None] * (_EXAMPLES - len(real))
    return _Places(
        [*real, *empty, *(image for answer in answers for image in answer.images)],
        [*[None] * _EXAMPLES, *(hit for answer in answers for hit in answer.hits)],
    )


def stacked(pngs: Sequence[bytes]) -> bytes:
    """Pictures below each other, on white."""
    if len(pngs) == 1:
        return pngs[0]
    parts = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    size = max(part.width for part in parts), sum(part.height for part in parts)
    whole, top = Image.new("RGB", size, "white"), 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    stream = io.BytesIO()
    whole.save(stream, format="PNG")
    return stream.getvalue()
