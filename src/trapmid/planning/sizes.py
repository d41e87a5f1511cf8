"""How many images the data of a study have: by params.yaml alone, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

PEOPLE_KNOWN = 30_000
"""Public images of a folder whose size no row says: the paper's."""


class Images(NamedTuple):
    """How many images a row of `data` has."""

    classes: int
    size: int
    train: int
    held: int  # of validation and test, which every epoch is scored on
    test: int
    public: int
    pictures: int  # all that are decoded

    @property
    def private_megabytes(self) -> float:
        """MB of private.pt: three bytes a pixel."""
        return (self.train + self.held) * 3 * self.size**2 / 2**20

    @property
    def public_megabytes(self) -> float:
        """MB of public.pt."""
        return self.public * 3 * self.size**2 / 2**20


def images(study: Mapping[str, Any], row: str) -> Images:
    """By the rows of `data` and `raw`; of folders of photographs, the least that they must have."""
    data = study["data"][row]
    own, public = _drawn(study, data["private"]["path"]), _drawn(study, data["public"]["path"])
    there = own["images"] if own else data["min_images"]
    each = min(there, data.get("images_each") or there)
    others = None if public is None else public["others"] * public["other_images"]
    known = data["public_images"] or others or PEOPLE_KNOWN
    test = -(-int(each * 1000 * data["test_fraction"]) // 1000)
    val = -(-int((each - test) * 1000 * data["val_fraction"]) // 1000)
    classes = data["identities"]
    return Images(
        classes=classes,
        size=data["image_size"],
        train=classes * (each - test - val),
        held=classes * (test + val),
        test=classes * test,
        public=known,
        pictures=classes * there + known,
    )


def _drawn(study: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """The options of the raw folder at `path` that the project draws; None: a user's folder."""
    for name, raw in study["raw"].items():
        if path.startswith(f"data/raw/{name}/") and "others" in raw["options"]:
            options: Mapping[str, Any] = raw["options"]
            return options
    return None
