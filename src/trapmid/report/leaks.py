"""The worst that attacks brought to light: per defence one private face and its reconstruction."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trapmid.artifacts import checkpoints
from trapmid.report import names
from trapmid.report.comparison import stacked
from trapmid.report.frames import LEGEND
from trapmid.report.pictures import image_grid
from trapmid.report.revealing import agreed, most_revealing, runs_on

PATH = "figures/worst/faces.png"
_BAND = 6  # defences side by side; more go below
_HEAD = 14  # letters of a line over one image


class Leak(NamedTuple):
    """One reconstruction and the private image that it comes nearest to."""

    private: Tensor  # (3, S, S)
    rebuilt: Tensor  # (3, S, S)
    recognised: bool


def nearest(
    private: Tensor,
    private_labels: Tensor,
    made: Mapping[str, Tensor],
    scored: Mapping[str, Any],
) -> Leak | None:
    """Of the images on which all judges agree the one nearest to its person.

    Where there is none: of those that the evaluator recognises; where none is, of all.

    Near is small KNN distance, in the evaluator's features; of the person's private images the one
    with the smallest squared difference of pixels is shown. None: the attack found nothing.

    Args:
        private: (M, 3, S, S) private training images, uint8 or float in [0, 1].
        private_labels: (M,) int64.
        made: `images` (N, 3, S, S), `labels` (N,) and `found` (N,) bool.
        scored: `hit` (N,) bool and `knn` (N,); of judges `judged`, with `agreed` (N,) bool.
    """
    found = made["found"]
    if not found.any():
        return None
    hit = found & scored["hit"]
    agreed = hit & scored.get("judged", {}).get("agreed", hit)
    among = next(some for some in (agreed, hit, found) if some.any())
    index = int(torch.where(among, scored["knn"], torch.inf).argmin())
    own = _float(private[private_labels == made["labels"][index]])
    rebuilt = _float(made["images"][index]).clone()  # a view would keep all images in memory
    distances = (own - rebuilt).square().flatten(1).sum(dim=1)
    return Leak(own[int(distances.argmin())], rebuilt, bool(scored["hit"][index]))


def draw(
    params: Mapping[str, Any],
    root: Path,
    strongest: Mapping[str, str | None],
    scored: Mapping[str, Mapping[str, Any]],
) -> dict[str, bytes]:
    """The picture by its path under reports/; nothing where no attack found anything.

    Of each defence the attack of whose images all judges agree on most is shown, in its first seed
    that has such an image. Where they agree on none: the strongest attack, in its first seed.

    Args:
        params: params.yaml.
        root: its folder, in which data/ is.
        strongest: by defence, the attack with the highest AA-1.
        scored: by attack run, the content of its file under data/scored.
    """
    leaks = {}
    for defense, attack in strongest.items():
        row = _shown(params, attack, defense, scored)
        leak = None if row is None else _of_row(params, root, row, scored[row])
        if row is not None and leak is not None:
            by = names.attack(params["attack_runs"][row]["attack"])
            leaks[f"{names.defense(defense)}, by {by}"] = leak
    return {PATH: picture(leaks)} if leaks else {}


def picture(leaks: Mapping[str, Leak]) -> bytes:
    """A PNG: private images above, reconstructions below, a column per defence."""
    heads = list(leaks)
    return stacked(
        [
            _band([(head, leaks[head]) for head in heads[start : start + _BAND]])
            for start in range(0, len(heads), _BAND)
        ]
    )


def _band(columns: Sequence[tuple[str, Leak]]) -> bytes:
    return image_grid(
        [[leak.private for _, leak in columns], [leak.rebuilt for _, leak in columns]],
        title="",
        row_labels=["private", "rebuilt"],
        column_labels=[textwrap.fill(head, _HEAD) for head, _ in columns],
        frames=[[None] * len(columns), [leak.recognised for _, leak in columns]],
        note=textwrap.fill(LEGEND, 52) if len(columns) < _BAND else LEGEND,
    )


def _shown(
    params: Mapping[str, Any],
    strongest: str | None,
    defense: str,
    scored: Mapping[str, Mapping[str, Any]],
) -> str | None:
    """The attack run of which an image is shown; None: no attack ran."""
    runs = runs_on(params, defense)
    best = most_revealing(runs, scored, strongest)
    if best is None:
        return next(iter(runs.get(strongest or "", [])), None)
    return next(row for row in runs[best] if agreed(scored[row]))


def _of_row(
    params: Mapping[str, Any], root: Path, row: str, scored: Mapping[str, Any]
) -> Leak | None:
    data = params["attack_runs"][row]["data"]
    private = checkpoints.load(root / f"data/prepared/{data}/private.pt")
    made = checkpoints.load(root / f"data/reconstructions/{row}.pt")
    return nearest(private["train_images"], private["train_labels"], made, scored)


def _float(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()
