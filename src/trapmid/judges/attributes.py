"""Reads CelebA's 40 attributes of a person off an image (Liu et al., ICCV 2015).

A person's attribute is the share of the person's images that have the mark. The judge learns from
public people by cross-entropy against that share, so a reading is the share to be expected: of what
one image hardly tells of a person, such as a smile, it says little, and little is counted.

It says how people look, and not who they are: forty marks do not tell a thousand people apart. So
it has no voice in "all judges agree".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid.data import celeba_attributes
from trapmid.nets.face_trunk import FaceTrunk
from trapmid.types import FaceBatch, Learns, Person, Reader

GROUPS: dict[str, tuple[str, ...]] = {
    "sex": ("Male",),
    "age": ("Young",),
    "skin": ("Pale_Skin", "Rosy_Cheeks"),
    "hair colour": ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    "hair length": ("Bald", "Receding_Hairline"),
    "hair style": ("Bangs", "Straight_Hair", "Wavy_Hair"),
    "face shape": ("Chubby", "Double_Chin", "High_Cheekbones", "Oval_Face"),
    "eyes": ("Bags_Under_Eyes", "Narrow_Eyes"),
    "brows": ("Arched_Eyebrows", "Bushy_Eyebrows"),
    "nose": ("Big_Nose", "Pointy_Nose"),
    "mouth": ("Big_Lips", "Mouth_Slightly_Open", "Smiling"),
    "beard": ("5_o_Clock_Shadow", "Goatee", "Mustache", "No_Beard", "Sideburns"),
    "glasses": ("Eyeglasses",),
    "make-up": ("Heavy_Makeup", "Wearing_Lipstick"),
    "dress": ("Wearing_Earrings", "Wearing_Hat", "Wearing_Necklace", "Wearing_Necktie"),
    "picture": ("Attractive", "Blurry"),
}
"""CelebA's attributes by the part of a face that they are about."""

NAMES: tuple[str, ...] = tuple(sorted(name for group in GROUPS.values() for name in group))


class Judge(Reader, Learns):
    """Shares of a person's images with each mark, (N, 40) in [0, 1].

    What its people's table does not have, nobody there has, and it is left out: its reliability
    is 0.
    """

    names = NAMES
    votes = False

    def __init__(self, image_size: int) -> None:
        super().__init__(image_size)
        self.trunk = FaceTrunk(image_size, len(NAMES))

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.trunk(images))

    def loss(self, vectors: Tensor, batch: FaceBatch) -> Tensor:
        return F.binary_cross_entropy(vectors[: len(batch.vectors)], batch.vectors)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        known = set(self._known())
        return {group: names for group, names in GROUPS.items() if known & set(names)}

    def marks(self, vectors: Tensor) -> dict[str, Tensor]:
        return {name: vectors[:, NAMES.index(name)] > 0.5 for name in self._known()}

    def _known(self) -> list[str]:
        return [n for n, r in zip(NAMES, self.reliability.tolist(), strict=True) if r > 0]

    @staticmethod
    def truth(table: Path, people: Sequence[Person]) -> Tensor:
        known = celeba_attributes.read(table)
        if unknown := sorted(set(known.names) - set(NAMES)):
            raise ValueError(f"{table}: {unknown[0]} is none of CelebA's attributes")
        of_image = {PurePath(file).stem: marks for file, marks in known.of.items()}
        columns = [NAMES.index(name) for name in known.names]
        found = torch.zeros(len(people), len(NAMES))
        for row, person in enumerate(people):
            marks = [_marks(table, of_image, file) for file in person.files]
            found[row, columns] = torch.tensor(marks).float().mean(dim=0)
        return found


def _marks(table: Path, of_image: Mapping[str, tuple[bool, ...]], file: str) -> tuple[bool, ...]:
    """The marks of an image; its file may end in another way than the list says."""
    stem = PurePath(file).stem
    if stem not in of_image:
        raise ValueError(f"{table}: has no image {stem}")
    return of_image[stem]
