"""AutoAttack on the targets of a finished study, beside PGD-20, and what signatures notice of it.

    pip install -e '.[robustness]' && python benchmarks/autoattack.py

The paper detects AutoAttack's examples (Trap-MID, Fig. 3); the study has those of PGD-20. Robust
accuracy is by AutoAttack's two gradient attacks alone: FAB and Square take most of the time and
change little where gradients are not masked.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from pyautoattack import AutoAttack
from torch import Tensor, nn

from trapmid.artifacts import checkpoints, classifiers
from trapmid.artifacts.lineage import load_public
from trapmid.config import params
from trapmid.config.evaluation import Checks, Evaluation
from trapmid.metrics import accuracy
from trapmid.metrics.features import as_float
from trapmid.runtime import Runtime
from trapmid.scoring import references
from trapmid.scoring.described import Loaded, Setup, describe
from trapmid.scoring.robustness import PAPER_BALLS, Ball, noticed
from trapmid.types import Target

NORMS = {"linf": "Linf", "l2": "L2"}
GRADIENTS = ["apgd-ce", "apgd-t"]


class Logits(nn.Module):
    """A target as AutoAttack takes it."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.target(images).logits
        return logits


def main() -> None:
    study = params.read(Path("params.yaml"))
    evaluation = params.build(Evaluation, study["evaluation"], "evaluation")
    bounds = params.build(Checks, study["checks"], "checks")
    for row, block in study["targets"].items():
        rt = Runtime(device=torch.device("cpu"), seed=block["seed"], precision="fp32")
        prepared = Path(f"data/prepared/{block['data']}")
        loaded = classifiers.load(Path(f"models/targets/{row}/model.pt"), rt)
        private = checkpoints.load(prepared / "private.pt")
        robust(row, loaded, private, Setup(evaluation, bounds, rt))
        if loaded.trapdoor is not None:
            public = load_public(prepared / "public.pt").images
            detected(row, loaded, private, public, Setup(evaluation, bounds, rt))


def robust(row: str, loaded: Loaded, private: dict[str, Any], setup: Setup) -> None:
    """Prints robust accuracy at the study's radii."""
    labels = private["test_labels"]
    right = accuracy.hits(describe(loaded, private["test_images"], setup).logits, labels)
    for radius in setup.evaluation.robust_radii:
        begun = time.process_time()
        made = examples(loaded.model, private, Ball("linf", radius), GRADIENTS)
        held = right & accuracy.hits(describe(loaded, made, setup).logits, labels)
        spent = time.process_time() - begun
        print(f"{row} linf {radius:g}: {accuracy.rate(held):.4f} ({spent:.0f} CPU s)", flush=True)


def detected(
    row: str, loaded: Loaded, private: dict[str, Any], public: Tensor, setup: Setup
) -> None:
    """Prints what the signature notices at the paper's radii."""
    reference = references.of_target(loaded, private, public, setup)
    assert reference is not None
    clean = describe(loaded, private["test_images"], setup)
    for ball in PAPER_BALLS:
        moved = describe(loaded, examples(loaded.model, private, ball, None), setup)
        print(row, noticed(clean, moved, private["test_labels"], ball, reference, setup))


def examples(
    model: Target, private: dict[str, Any], ball: Ball, attacks: list[str] | None
) -> Tensor:
    """AutoAttack's examples of the test images; `attacks`: some of its four, None: the standard."""
    attack = AutoAttack(
        Logits(model).eval(),
        norm=NORMS[ball.norm],
        eps=ball.radius,
        seed=0,
        version="custom" if attacks else "standard",
        attacks=attacks,
    )
    # It attacks nine other classes, and ends in an IndexError where there are fewer (0.2.0).
    others = min(9, model.num_classes - 1)
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = others
    images = as_float(private["test_images"])
    made, _ = attack.run_standard_evaluation(images, private["test_labels"], batch_size=250)
    found: Tensor = made
    return found


if __name__ == "__main__":
    main()
