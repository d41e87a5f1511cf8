"""dlib's verdict on reconstructions that came back from the GPU's machine; on a CPU.

Two judges from one embedding: a verifier, which accepts an image nearer to the person's template
than a threshold, and a logistic head, which learnt to name the private people and so is an
evaluator. Rows have intervals over people. Images stay where they are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from gpu.faces import FILE, Faces, unpack
from gpu.results import PREPARED, Book, Row, code_digest
from gpu.subjects import rate
from trapmid import wiring
from trapmid.metrics import accuracy, verification
from trapmid.metrics.features import as_float

VECTORS = PREPARED / "vectors.pt"
FALSE_ACCEPTS = 0.01  # of impostors, at the verifier's threshold
_BATCH = 256
_KEYS = ("device", "torch", "toy", "code")

Embed = Callable[[Tensor], Tensor]
"""Images (N, 3, S, S) in [0, 1] to vectors (N, D)."""


def main(folder: Path, out: Path) -> None:
    """Judges every file of reconstructions in `folder`, and writes the rows into `out`.

    Raises:
        FileNotFoundError: no people were packed, or the folder has no reconstructions.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    faces = unpack(FILE)
    embed = wiring.judge("dlib")(faces.size)
    judge_folder(folder, out, faces, embed, real_vectors(faces, embed, VECTORS))


def real_vectors(faces: Faces, embed: Embed, file: Path) -> tuple[Tensor, Tensor]:
    """The embeddings of the private training and test images; kept in `file`.

    Of these images and of this code alone: what is judged by them is embedded anew in every call.
    """
    images = hashlib.sha256(faces.train_images.numpy().tobytes())
    images.update(faces.test_images.numpy().tobytes())
    of = {"images": images.hexdigest(), "code": code_digest()}
    if file.exists():
        kept = torch.load(file, weights_only=True)
        if of.items() <= kept.items() and len(kept["train"]) == len(faces.train_images):
            return kept["train"], kept["test"]
    train, test = vectors(embed, faces.train_images), vectors(embed, faces.test_images)
    beside = file.with_suffix(f".{os.getpid()}")  # whole, or not at all
    torch.save({**of, "train": train, "test": test}, beside)
    beside.replace(file)
    return train, test


def judge_folder(
    folder: Path, out: Path, faces: Faces, embed: Embed, real: tuple[Tensor, Tensor]
) -> Book:
    """As `main`, with these people and this embedding; returns the book of its rows.

    Args:
        real: what `real_vectors` returns.
    """
    files = sorted(file for file in folder.glob("*.pt") if not file.stem.endswith("-scores"))
    found = {file.stem: torch.load(file, weights_only=True) for file in files}
    found = {name: content for name, content in found.items() if "images" in content}
    if not found:
        raise FileNotFoundError(f"{folder}: no file of reconstructions")
    toy = any(content["toy"] for content in found.values())
    book = Book(out.resolve(), toy, torch.device("cpu"), code_digest())
    panel = Panel.of(faces, embed, *real)
    book.forget("judge/real")
    book.run("judge", "real", panel.on_real)
    for name, content in found.items():
        book.forget(f"judge/{name}")
        book.run("judge", name, lambda content=content: panel.on(content))  # type: ignore[misc]
    for one in book.rows():
        print(f"{one['name']}: {one['value']} [{one.get('low')}, {one.get('high')}]")
    return book


@dataclass(frozen=True)
class Panel:
    """The two judges, and the real images that they are measured on."""

    embed: Embed
    templates: Tensor  # (C, D) float64
    limit: float
    head: Any
    test: Tensor  # (N, D)
    labels: Tensor  # (N,) int64

    @classmethod
    def of(cls, faces: Faces, embed: Embed, train: Tensor, test: Tensor) -> Panel:
        """Learns from the training images; the threshold is that of the test images' impostors."""
        templates = verification.templates(train, faces.train_labels, faces.classes)
        impostors = verification.others(verification.distances(test, templates), faces.test_labels)
        head = LogisticRegression(C=10.0, max_iter=2000)
        head.fit(train.double().numpy(), faces.train_labels.numpy())
        limit = verification.threshold(impostors, faces.test_labels, FALSE_ACCEPTS)
        return cls(embed, templates, limit, head, test, faces.test_labels)

    def on_real(self) -> Iterator[Row]:
        """The ceiling: what the judges say of real test images."""
        yield from self._verdicts(self.test, self.labels, {})

    def on(self, content: dict[str, Any]) -> Iterator[Row]:
        """What they say of an attack's images, uint8, each of which is to show its label."""
        about = {key: content[key] for key in _KEYS}
        yield from self._verdicts(vectors(self.embed, content["images"]), content["labels"], about)

    def _verdicts(self, seen: Tensor, labels: Tensor, about: dict[str, Any]) -> Iterator[Row]:
        distances = verification.distances(seen, self.templates)
        found = verification.verdicts(distances, labels, self.limit)
        yield rate("accepted", found.accepted, labels, threshold=self.limit, **about)
        yield rate("nearest template", found.nearest == labels, labels, **about)
        logits = torch.from_numpy(self.head.decision_function(seen.double().numpy()))
        for k in (1, 5):
            yield rate(f"head AA-{k}", accuracy.hits(logits, labels, k), labels, **about)


def vectors(embed: Embed, images: Tensor) -> Tensor:
    """The embeddings (N, D) of uint8 images."""
    return torch.cat([embed(as_float(part)) for part in images.split(_BATCH)])
