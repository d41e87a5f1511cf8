"""Whose faces an audit is about: the layout of a folder, its people, their order in the model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.data import celeba, listing
from trapmid.data.listing import DataError, Entry

_PROBES = 4  # images of every person that the model is asked about before anything runs


class AuditError(ValueError):
    """An audit cannot begin; the message is one line."""


class Private(NamedTuple):
    """The private people, in the order of their labels."""

    reader: str
    names: tuple[str, ...]  # the folder of each, or its number
    entries: tuple[tuple[Entry, ...], ...]  # of each
    left_out: tuple[str, ...]  # who has too few images


class Probes(NamedTuple):
    """A few private images of everybody."""

    images: Tensor  # (n, 3, S, S) float32 in [0, 1]
    labels: Tensor  # (n,) int64


def private(root: Path, least: int) -> Private:
    """The people of a folder, as the preparation of a study is going to number them.

    Args:
        root: the folder.
        least: people with fewer images are left out.

    Raises:
        AuditError: under two people are left.
        DataError: the folder has no layout that is known.
    """
    reader = private_reader(root)
    groups: dict[int, list[Entry]] = {}
    for entry in wiring.reader(reader).entries(root):
        groups.setdefault(entry.identity, []).append(entry)
    order = sorted(number for number, own in groups.items() if len(own) >= least)
    if len(order) < 2:
        raise AuditError(
            f"{root}: {len(order)} of {len(groups)} people have {least} images or more "
            "(--min-images), an audit needs two"
        )
    named = {number: _name(reader, number, own) for number, own in groups.items()}
    names = tuple(named.pop(number) for number in order)
    entries = tuple(tuple(groups[number]) for number in order)
    return Private(reader, names, entries, tuple(named.values()))


def _name(reader: str, number: int, own: Sequence[Entry]) -> str:
    return str(number) if reader == "celeba" else own[0].file.parent.name


def private_reader(root: Path) -> str:
    """The module of `data` that knows the layout: CelebA's, or a folder per person."""
    return "celeba" if celeba.find_list(root, celeba.LIST).is_file() else "people"


def public_reader(root: Path) -> str:
    """Likewise; a folder of pictures alone is one of strangers."""
    if celeba.find_list(root, celeba.LIST).is_file():
        return "celeba"
    return "people" if any(one.is_dir() for one in listing.contents(root)) else "flat"


def order_of(people: Private, classes: Path | None, outputs: int) -> list[int]:
    """Which output of the model every person is, in the order of `people.names`.

    Who was left out may have an output, too: it stands for nobody here.

    Args:
        people: the private people, and who was left out.
        classes: a text file with the name of each output, a line each; None: the outputs are the
            private people, or everybody, in the order of the names, as torchvision's ImageFolder
            has them, but where all are numbers by their value, where it has 10 before 9.
        outputs: how many the model has.

    Raises:
        AuditError: the model knows another number of people, or the file does not name all private
            people, others, or somebody twice.
    """
    if classes is None:
        listed, names = _sorted(people, outputs), list(people.names)
    else:
        listed, names = _listed(people, classes, outputs), _composed(people.names)
    return [listed.index(name) for name in names]


def _sorted(people: Private, outputs: int) -> list[str]:
    """The outputs of a model that knows the private people, or everybody, by their names."""
    kept, everybody = len(people.names), (*people.names, *people.left_out)
    if outputs not in (kept, len(everybody)):
        few = which = ""
        if people.left_out:
            few = f" and {len(people.left_out)} with fewer ({_few(people.left_out)})"
            which = " of the first, or for all, or --classes says whose its outputs are"
        raise AuditError(
            f"the model knows {outputs} classes, and the folder has {kept} people with enough "
            f"images (--min-images){few}: it must have an output for each{which}"
        )
    known = people.names if outputs == kept else everybody
    numbers = all(name.isdecimal() for name in known)
    return sorted(known, key=lambda name: (int(name) if numbers else 0, name))


def _listed(people: Private, classes: Path, outputs: int) -> list[str]:
    """The outputs as a file names them."""
    listed = _composed(_lines(classes))
    names, few = set(_composed(people.names)), set(_composed(people.left_out))
    twice = [name for name, count in Counter(listed).items() if count > 1]
    missing, unknown = sorted(names - set(listed)), sorted(set(listed) - names - few)
    for what, some in (("twice", twice), ("not", missing), ("without images", unknown)):
        if some:
            raise AuditError(f"{classes}: names {_few(some)} {what}: one line per person")
    if len(listed) != outputs:
        some = sorted(few & set(listed))
        why = f"; of these {_few(some)} with too few images (--min-images)" if some else ""
        raise AuditError(
            f"{classes}: names {len(listed)} people{why}, and the model knows {outputs} classes: "
            "one line per output"
        )
    return listed


def _composed(names: Sequence[str]) -> list[str]:
    return [normalize("NFC", name) for name in names]  # macOS writes accents otherwise


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AuditError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise AuditError(f"{path}: is no text in UTF-8 ({error.reason})") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def probes(people: Private, image_size: int) -> Probes:
    """The first images of everybody, cropped as the study is going to crop them.

    Raises:
        DataError: an image cannot be read.
    """
    reader = wiring.reader(people.reader)
    pairs = [(label, e) for label, own in enumerate(people.entries) for e in own[:_PROBES]]
    images = torch.stack([reader.load(entry.file, image_size) for _, entry in pairs])
    return Probes(images.float() / 255, torch.tensor([label for label, _ in pairs]))


def check_public(root: Path) -> str:
    """The reader of the public folder, which must hold pictures.

    Raises:
        DataError: it cannot be read, or holds none.
    """
    name = public_reader(root)
    if not wiring.reader(name).entries(root):
        raise DataError(f"{root}: holds no picture")
    return name


def plain(name: str) -> str:
    """A file's name as a folder of an audit is called: letters, digits, dots, - and _."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._-") or "model"
