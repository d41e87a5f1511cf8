"""Where an artefact comes from, so that what does not belong together is refused and not scored.

`people` is a digest of the private images of a row of `data`, with their labels and splits. The
preparation writes it into public.pt, too: it parted those images from these people. So whatever was
learnt on public images says whose pictures cannot be among them, though no attacker opens a private
image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.data.splits import SPLITS

_REMEDY = "`dvc repro` renews it"


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What one artefact was made from."""

    people: str  # see `people_of`
    target: str | None  # SHA-256 of the target that it learnt from or stands for; None: of none
    sources: dict[str, str] = field(default_factory=dict)  # by role: SHA-256 of the files it used

    def to_content(self) -> dict[str, Any]:
        """The entry `lineage` of a file."""
        return asdict(self)

    @classmethod
    def read(cls, path: Path, content: Mapping[str, Any]) -> Lineage:
        """The lineage in the content of the file `path`.

        Raises:
            CheckpointError: it has none.
        """
        try:
            return cls(**content["lineage"])
        except (KeyError, TypeError):
            raise CheckpointError(
                f"{path}: does not say what it was made from; {_REMEDY}"
            ) from None


class Traced(NamedTuple):
    """A file, and what `check_together` asks of it."""

    path: Path
    people: str
    target: str | None  # digest of the target that it is, stands for or learnt from; None: of none


class PublicImages(NamedTuple):
    """The content of a public.pt."""

    images: Tensor  # (n, 3, S, S) uint8
    people: str  # from whom they were parted


def digest(*tensors: Tensor) -> str:
    """SHA-256 of the tensors' bytes, e.g. of images and their labels."""
    state = hashlib.sha256()
    for tensor in tensors:
        state.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        state.update(tensor.contiguous().flatten().numpy().data)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the files in a folder; hexadecimal."""
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.is_file())
        lines = "".join(f"{one.name} {file_digest(one)}\n" for one in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def people_of(private: Mapping[str, Tensor]) -> str:
    """The digest of the private people in the content of a private.pt."""
    return digest(*(private[f"{name}_{kind}"] for name in SPLITS for kind in ("images", "labels")))


def public_content(public: Tensor, private: Mapping[str, Tensor]) -> dict[str, Any]:
    """The content of a public.pt: images (n, 3, S, S) uint8 that were parted from `private`."""
    return {"images": public, "people": people_of(private)}


def load_public(path: Path) -> PublicImages:
    """What `public_content` made.

    Raises:
        CheckpointError: the file is missing, or does not say from whom its images were parted.
    """
    content = checkpoints.load(path)
    try:
        return PublicImages(content["images"], content["people"])
    except KeyError as error:
        raise CheckpointError(f"{path}: no {error}; {_REMEDY}") from None


def check_together(first: Traced, *others: Traced) -> None:
    """Refuses files that do not belong to one attack.

    Args:
        first: what the others must fit; if it has a target, every other target must be that one.

    Raises:
        CheckpointError: one line that names the first file that does not fit, and why.
    """
    for other in others:
        if other.people != first.people:
            raise CheckpointError(
                f"{other.path}: belongs to other private people than {first.path}; "
                "rows of `data` that meet must have the same private images"
            )
        if None not in (first.target, other.target) and other.target != first.target:
            raise CheckpointError(
                f"{other.path}: belongs to another target than {first.path}; "
                "what a prior or a surrogate learnt of one target says nothing of another"
            )


def load_made_from(path: Path, target: Traced, files: Mapping[str, Path]) -> dict[str, Any]:
    """The content of a file of tensors that is about `target` and was made from `files`.

    Args:
        path: the file; its lineage says what it was made from.
        target: whose people and whose target it must be about.
        files: by role; what stands there now must be what the file was made from.

    Raises:
        CheckpointError: it is about others, or a digest differs.
    """
    content = checkpoints.load(path)
    lineage = Lineage.read(path, content)
    check_together(target, Traced(path, lineage.people, lineage.target))
    for role, file in files.items():
        if lineage.sources.get(role) != file_digest(file):
            raise CheckpointError(f"{path}: made from another {role} than {file}; {_REMEDY}")
    return content
