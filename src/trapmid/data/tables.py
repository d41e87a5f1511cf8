"""The tables that the data contract looks at: the manifest, and what people and tensors hold.

The column `path` of each names the row in messages.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from trapmid.data.likeness import fingerprints, near
from trapmid.data.listing import DataError
from trapmid.data.numbering import family
from trapmid.data.pixels import pixel_hash
from trapmid.data.splits import SPLITS

_BLOCK = (
    64  # images whose statistics are taken at once: of 64 pixels, they stay in a processor's cache
)

NO_TWIN = "none"
"""In a column of near twins: there is none."""


def read_manifest(text: bytes) -> pd.DataFrame:
    """manifest.csv as strings, but for the numbers `label` and `size`; an empty cell is missing.

    Raises:
        DataError: the text is no table.
    """
    try:
        table = pd.read_csv(io.BytesIO(text), dtype=str, na_values=[""], keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"manifest.csv: {' '.join(str(error).split())}") from None
    for column in ("label", "size"):
        if column in table:  # text that is no number goes missing, which the suites refuse
            table[column] = pd.to_numeric(table[column], errors="coerce")
    return table


def sides(known: pd.DataFrame) -> pd.DataFrame:
    """Per person known by number: on how many sides, private and public, the person is."""
    seen = known.assign(side=known["split"].eq("public"), person=known["identity"].map(_person))
    found = seen.groupby("person").agg(path=("identity", "first"), sides=("side", "nunique"))
    return found.reset_index(drop=True)


def _person(identity: str) -> str:
    """The same for all readers that number people alike: "celeba_hd:7" is "celeba:7"."""
    reader, colon, number = identity.partition(":")
    return f"{family(reader)}{colon}{number}"


def twins(manifest: pd.DataFrame) -> dict[str, pd.Series]:
    """Columns: whether a private image's very pixels are in another split, and public (1) or not.

    Those of public images are 0.
    """
    inside = manifest["split"].isin(SPLITS)
    in_splits = manifest[inside].groupby("hash")["split"].nunique()
    in_public = manifest["hash"].isin(set(manifest["hash"][~inside]))
    in_other = manifest["hash"].map(in_splits).gt(1)
    return {
        "public_twin": (inside & in_public).astype(int),
        "split_twin": (inside & in_other).astype(int),
    }


def near_twins(
    paths: Sequence[str], private: Mapping[str, Tensor], public: Tensor
) -> dict[str, list[str]]:
    """Columns: per private image the path of a near twin, public and in another split.

    Args:
        paths: of all images, private ones first, in the order of the tensors.
        private: the tensors of private.pt, see `prepare.Prepared`.
        public: (N, 3, S, S) uint8.
    """
    parts = [fingerprints(private[f"{name}_images"]) for name in SPLITS]
    names = np.split(np.asarray(paths), np.cumsum([len(part) for part in parts]))
    in_split = []
    for index, part in enumerate(parts):
        others = [other for other in range(len(parts)) if other != index]
        rest = torch.cat([parts[other] for other in others])
        in_split += _twin(part, rest, np.concatenate([names[other] for other in others]).tolist())
    in_public = _twin(torch.cat(parts), fingerprints(public), names[-1].tolist())
    none = [NO_TWIN] * len(public)
    return {"public_near_twin": in_public + none, "split_near_twin": in_split + none}


def _twin(prints: Tensor, others: Tensor, paths: Sequence[str]) -> list[str]:
    found = near(prints, others).tolist()
    return [NO_TWIN if place < 0 else paths[place] for place in found]


def identities(inside: pd.DataFrame) -> pd.DataFrame:
    """Per private person: the label, how many labels and images, images per split."""
    table = inside.assign(**{name: inside["split"].eq(name).astype(int) for name in SPLITS})
    return (
        table.groupby("identity")
        .agg(
            label=("label", "first"),
            labels=("label", "nunique"),
            images=("path", "size"),
            **{name: (name, "sum") for name in SPLITS},
        )
        .reset_index()
        .rename(columns={"identity": "path"})
    )


def pixels(manifest: pd.DataFrame, private: Mapping[str, Tensor], public: Tensor) -> pd.DataFrame:
    """Per image what the tensors hold, beside what the manifest says of it.

    Args:
        manifest: see `read_manifest`.
        private: the tensors of private.pt, see `prepare.Prepared`.
        public: (N, 3, S, S) uint8.

    Raises:
        DataError: the manifest has not one row per image of the tensors.
    """
    parts = [*(private[f"{name}_images"] for name in SPLITS), public]
    labels = torch.cat([private[f"{name}_labels"] for name in SPLITS]).tolist()
    if len(manifest) != sum(map(len, parts)):
        raise DataError(f"manifest.csv: has {len(manifest)} rows for {sum(map(len, parts))} images")
    moments = [pair for part in parts for pair in _moments(part)]
    columns = {
        "mean": [mean for mean, _ in moments],
        "std": [deviation for _, deviation in moments],
        "tensor": [
            f"{part.dtype} {'x'.join(map(str, part.shape[1:]))}" for part in parts for _ in part
        ],
        "tensor_hash": [pixel_hash(image) for part in parts for image in part],
    }
    # -1 stands for "no label" on both sides: two missing values would not count as equal.
    return pd.DataFrame(columns).assign(
        path=manifest["path"].to_numpy(),
        hash=manifest["hash"].to_numpy(),
        label=manifest["label"].fillna(-1).astype(int).to_numpy(),
        tensor_label=labels + [-1] * len(public),
    )


def _moments(images: Tensor) -> Iterator[tuple[float, float]]:
    """Mean and deviation of each image (3, S, S), in [0, 1].

    By sums of whole numbers, which are exact in float64: in blocks they are what they are alone.
    """
    for block in images.split(_BLOCK):
        values = block.flatten(1).double()
        count, total = values.shape[1], values.sum(dim=1)
        spread = count * torch.linalg.vecdot(values, values) - total.square()
        means, deviations = total / (255 * count), spread.clamp(min=0).sqrt() / (255 * count)
        yield from zip(means.tolist(), deviations.tolist(), strict=True)
