"""A training that was killed goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from checkout import Checkout

pytestmark = pytest.mark.slow

PRIOR_STEPS = "  plgmi:\n    latent_dim: 8\n    width: 8\n    top_n: 8\n    steps: 80"
PATIENCE = 120.0  # seconds until a training on a busy machine must have saved a state


def start_and_stop(study: Checkout, command: str) -> subprocess.Popen[str]:
    """Starts a training and stops it, alive, once it has saved a state."""
    script, *words = command.split()
    process = study.start("python", f"stages/{script}.py", *words)
    deadline = time.monotonic() + PATIENCE
    while not list((study.root / ".scratch").glob("*/state.pt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no state was saved"
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    return process


def first_step(printed: str) -> int:
    """The first step that a stage's bar shows."""
    return int(re.findall(r"\| *(\d+)/\d+ \[", printed)[0])


def stage(study: Checkout, command: str) -> tuple[int, str]:
    """Runs it as a process of its own, as the one that is killed is."""
    script, *words = command.split()
    return study.process("python", f"stages/{script}.py", *words)


def resumed(study: Checkout, command: str) -> str:
    """What a run prints that must go on: a process, since it finds a state by what it imported."""
    code, printed = stage(study, command)
    assert code == 0, printed
    return printed


@pytest.mark.parametrize(
    ("command", "edit", "model", "curve"),
    [
        (
            "train_target targets trapmid-0",
            ("epochs: 3", "epochs: 30"),
            "models/targets/trapmid-0/model.pt",
            "reports/training/targets/trapmid-0/history.csv",
        ),
        (
            "train_prior guided_priors plgmi-none-0",
            ("  plgmi:\n    latent_dim: 8\n    width: 8\n    top_n: 8\n    steps: 3", PRIOR_STEPS),
            "models/priors/guided/plgmi-none-0/prior.pt",
            "reports/training/guided_priors/plgmi-none-0/history.csv",
        ),
    ],
    ids=["target", "prior"],
)
def test_a_killed_training_resumes(study, command, edit, model, curve):
    study.edit("params.yaml", *edit)
    assert study.inside(command) is None
    undisturbed = study.read(model), study.read(curve)
    assert not list((study.root / ".scratch").glob("*/state.pt"))

    for path in (Path(model).parent, Path(curve).parent):  # as DVC does before a stage
        shutil.rmtree(study.root / path)
    process = start_and_stop(study, command)
    code, printed = stage(study, command)  # while the first one still holds its lock
    assert code == 1
    assert len(printed.splitlines()) == 1
    assert "another process is at work on it (pid " in printed
    process.kill()
    process.communicate()
    assert not (study.root / model).exists()
    assert study.half_written() == []

    assert first_step(resumed(study, command)) > 1
    assert (study.read(model), study.read(curve)) == undisturbed
    assert not list((study.root / ".scratch").glob("*/state.pt"))


def test_a_killed_search_resumes(study):
    """The latents and their optimiser come back; the reconstructions are the same bytes."""
    study.edit("params.yaml", "  plgmi:\n    steps: 3\n", "  plgmi:\n    steps: 60\n")
    made = "data/reconstructions/plgmi-none-0.pt"
    assert study.inside("invert plgmi-none-0") is None
    undisturbed = study.read(made)
    (study.root / made).unlink()
    process = start_and_stop(study, "invert plgmi-none-0")
    process.kill()
    process.communicate()
    assert not (study.root / made).exists()
    resumed(study, "invert plgmi-none-0")
    assert study.read(made) == undisturbed
    assert not list((study.root / ".scratch").glob("*/state.pt"))
