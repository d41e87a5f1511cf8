"""Trains the judges of drawn faces at 32 pixels: `make judges`, ten minutes on two cores.

    python weights/make_judges.py FOLDER

They learn from people whom no study has: studies number theirs from 1. How far a reading of a
parameter can be relied on is measured on people who were held out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trapmid  # noqa: F401  # before torch: it says how torch's threads wait for each other

# isort: split
import torch
from tqdm import tqdm

from trapmid.artifacts import judges
from trapmid.artifacts.judges import LearntFrom
from trapmid.data.drawing.images import portraits
from trapmid.data.drawing.vectors import identity_vectors
from trapmid.judges import portrait, verifier
from trapmid.metrics import features, identification
from trapmid.runtime import Runtime
from trapmid.training import degradations, judging
from trapmid.training.judging import Batch, Faces, Plan

SIZE, SEED = 32, 0
FIRST, PEOPLE, HELD_OUT, IMAGES = 1_000_000, 2000, 100, 4
CHUNK = 50  # people drawn at a time: so many fit into memory
PLANS = {
    "verifier": Plan(steps=1500, people=40, images_each=4, nobodies=24, lr=2e-3, weight_decay=0.05),
    "portrait": Plan(steps=1500, people=120, images_each=1, nobodies=0, lr=2e-3, weight_decay=0.05),
}


def draw(first: int, count: int) -> Faces:
    """`count` people from number `first` on."""
    parts = []
    for start in tqdm(range(first, first + count, CHUNK), desc="drawing", unit="chunk"):
        people = range(start, min(start + CHUNK, first + count))
        pairs = [(person, image) for person in people for image in range(IMAGES)]
        drawn = portraits(pairs, seed=SEED, size=SIZE)
        parts.append(drawn.reshape(len(people), IMAGES, 3, SIZE, SIZE))
    return Faces(torch.cat(parts), vectors(first, count))


def vectors(first: int, count: int) -> torch.Tensor:
    return identity_vectors(range(first, first + count), seed=SEED).float()


def contrast(embeddings: torch.Tensor, batch: Batch) -> torch.Tensor:
    return verifier.contrastive_loss(embeddings, batch.people)


def error(readings: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Squared, in units of each parameter's variance over uniform draws."""
    return 12 * (readings - batch.vectors).square().mean()


def calibrate(judge: portrait.Judge, faces: Faces, held_out: Faces, rt: Runtime) -> None:
    """Writes into the judge how parameters vary, and how far a reading of each can be relied on."""
    images = held_out.images.flatten(0, 1)
    with rt.seeded("calibration"):
        images = degradations.degrade(features.as_float(images))
    read = features.vectors(judge, images, batch_size=200, rt=rt)
    truth = held_out.vectors.repeat_interleave(IMAGES, dim=0)
    judge.reliability.copy_(identification.reliability(read, truth))
    judge.mean.copy_(faces.vectors.mean(dim=0))
    judge.deviation.copy_(faces.vectors.std(dim=0))


def main(folder: Path) -> None:
    rt = Runtime(device=torch.device("cpu"), seed=SEED, precision="fp32")
    faces, held_out = draw(FIRST, PEOPLE), draw(FIRST + PEOPLE, HELD_OUT)
    learnt_from = LearntFrom(
        maker="synthetic", seed=SEED, first=FIRST, last=FIRST + PEOPLE + HELD_OUT - 1
    )
    with rt.seeded("initial weights", "judges"):
        telling, reading = rt.place(verifier.Judge(SIZE)), rt.place(portrait.Judge(SIZE))
    judging.fit(telling, contrast, faces, PLANS["verifier"], rt)
    judging.fit(reading, error, faces, PLANS["portrait"], rt)
    calibrate(reading, faces, held_out, rt)
    for name, judge in (("verifier", telling), ("portrait", reading)):
        judges.save_weights(folder / f"{name}.pt", name, judge, SIZE, learnt_from)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
