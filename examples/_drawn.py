"""What the examples have instead of yours: drawn faces, a network that knows them, a plan."""

from __future__ import annotations

from pathlib import Path

from trapmid.config import params
from trapmid.config.study import ClassifierTraining
from trapmid.data.drawing.images import portraits
from trapmid.training.classifier import Splits
from trapmid.training.fit import Labelled

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
SIZE, PEOPLE = 32, 8
STUDY = params.read(ROOT / "profiles/small.yaml")  # for numbers that are not an example's point


def faces(people: range, images: range) -> Labelled:
    """Images (N, 3, 32, 32) uint8 of the people with these numbers; labels (N,) from 0 on."""
    pairs = [(person, image) for person in people for image in images]
    labels = torch.arange(len(people)).repeat_interleave(len(images))
    return Labelled(portraits(pairs, seed=0, size=SIZE), labels)


def private() -> Splits:
    """Eight people: 24 images of each to train on, 6 to test on, none to select an epoch on."""
    people = range(1, PEOPLE + 1)
    train, test = faces(people, range(24)), faces(people, range(24, 30))
    return Splits(train, Labelled(test.images[:0], test.labels[:0]), test, PEOPLE)


PLAN = ClassifierTraining(
    epochs=10,
    batch_size=32,
    optimizer="adam",
    lr=1e-3,
    momentum=0.9,  # read by sgd alone
    weight_decay=5e-4,
    milestones=(),
    decay=0.1,
    flip=True,
    select="last",
    precision="fp32",
    keep_every=10,
)


def your_network(data: Labelled) -> nn.Sequential:
    """A network of plain torch that knows nothing of trapmid; its last layer is its head."""
    network = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten()),
        nn.Linear(SIZE * SIZE * 4, PEOPLE),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(15):
        for index in torch.randperm(len(data)).split(32):
            loss = F.cross_entropy(network(data.images[index] / 255), data.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()
