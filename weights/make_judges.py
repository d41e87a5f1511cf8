"""Trains the judges of drawn faces at 32 pixels: `make judges`, 11 minutes of CPU.

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
from trapmid.artifacts.scratch import Scratch
from trapmid.config.study import JudgeTraining
from trapmid.data.drawing.images import portraits
from trapmid.data.drawing.vectors import identity_vectors
from trapmid.judges import portrait, verifier
from trapmid.runtime import Runtime
from trapmid.training import judging
from trapmid.training.judging import Faces
from trapmid.types import Saving

SIZE, SEED = 32, 0
FIRST, PEOPLE, HELD_OUT, IMAGES, STEPS = 1_000_000, 2000, 100, 4, 1500
CHUNK = 50  # people drawn at a time: so many fit into memory
PLANS = {
    "verifier": {"people": 40, "images_each": 4, "nobodies": 24},
    "portrait": {"people": 120, "images_each": 1, "nobodies": 0},
}


def draw(first: int, count: int) -> Faces:
    """`count` people from number `first` on."""
    parts = []
    for start in tqdm(range(first, first + count, CHUNK), desc="drawing", unit="chunk"):
        people = range(start, min(start + CHUNK, first + count))
        pairs = [(person, image) for person in people for image in range(IMAGES)]
        parts.append(portraits(pairs, seed=SEED, size=SIZE))
    vectors = identity_vectors(range(first, first + count), seed=SEED).float()
    return Faces(torch.cat(parts), torch.full((count,), IMAGES), vectors)


def plan(name: str) -> JudgeTraining:
    return JudgeTraining(**PLANS[name], steps=STEPS, lr=2e-3, weight_decay=0.05, keep_every=STEPS)


def main(folder: Path) -> None:
    rt = Runtime(device=torch.device("cpu"), seed=SEED, precision="fp32")
    faces, held_out = draw(FIRST, PEOPLE), draw(FIRST + PEOPLE, HELD_OUT)
    learnt_from = LearntFrom(
        maker="synthetic", seed=SEED, first=FIRST, last=FIRST + PEOPLE + HELD_OUT - 1
    )
    with rt.seeded("initial weights", "judges"):
        telling, reading = rt.place(verifier.Judge(SIZE)), rt.place(portrait.Judge(SIZE))
    for name, judge in (("verifier", telling), ("portrait", reading)):
        saving = Saving(Scratch(folder, name), STEPS)
        judging.fit(judge, judge.loss, faces, plan(name), rt, saving)
    judging.calibrate(reading, faces, held_out, rt)
    for name, judge in (("verifier", telling), ("portrait", reading)):
        judges.save_weights(folder / f"{name}.pt", name, judge, SIZE, learnt_from)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
