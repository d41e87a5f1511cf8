"""Every promise of `types.Surrogate`, and distillation against its formula (T13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from toy import (
    Interrupted,
    Memory,
    T,
    ToyStudents,
    ToyTarget,
    images,
    runtime,
    same_state,
    seeded,
    snapshot,
)
from trapmid import wiring
from trapmid.artifacts.scratch import scratch
from trapmid.runtime import stream_seed
from trapmid.training.gan import Passes
from trapmid.types import Output, Surrogate, Target

CLASSES = 3
DISTILLATION: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 6,
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "milestones": [3],
    "decay": 0.1,
    "temperature": 1.0,
    "augmentation": None,
    "precision": "fp32",
    "keep_every": 1,
}
DISTIL = DISTILLATION | {"statistics_images": None, "signature_images": None}
FINETUNE = DISTILLATION | {"labels": "soft", "top_n": 4}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "distil": ("distil", DISTIL),
    "distil, augmented": ("distil", DISTIL | {"augmentation": T}),
    "distil, bf16": ("distil", DISTIL | {"precision": "bf16"}),
    "finetune": ("finetune", FINETUNE),
    "finetune, hard labels": ("finetune", FINETUNE | {"labels": "top_n", "augmentation": T}),
}


def public(n: int = 22) -> Tensor:
    return (255 * images(n, seed=5)).to(torch.uint8)


def teacher() -> Target:
    target: Target = seeded(ToyTarget, CLASSES, seed=3)
    with torch.no_grad():
        for p in target.parameters():
            p.mul_(3)  # of some opinion
    return target.eval()


def learner(name: str) -> Target:
    stolen = method(name).stolen
    student: Target = teacher() if stolen else seeded(ToyStudents, CLASSES, seed=1)
    return student


def method(name: str, **changes: Any) -> Surrogate:
    module, block = ROWS[name]
    return wiring.surrogate(module, block | changes)


def fit(name: str, checkpointer: Any = None, seed: int = 0, **changes: Any) -> tuple[Target, Any]:
    student = learner(name)
    rt = runtime(seed, ROWS[name][1]["precision"])
    learnt = method(name, **changes).fit(student, teacher(), public(), rt, checkpointer or Memory())
    return student, learnt


def test_every_surrogate_has_a_row() -> None:
    rows = {module for module, _ in ROWS.values()}
    wrong = sorted(rows ^ set(wiring.names("surrogates")))
    assert not wrong, (
        f"ROWS in tests/surrogates/test_surrogates.py and the files of "
        f"src/trapmid/surrogates differ by {wrong}"
    )


@pytest.mark.parametrize("name", ROWS)
def test_the_student_learns_and_the_teacher_stays(name: str) -> None:
    student, asked = learner(name), teacher().train()
    before, begun, checkpointer = snapshot(asked), snapshot(student), Memory()
    state = torch.get_rng_state()
    method(name).fit(student, asked, public(), runtime(), checkpointer)
    assert torch.equal(torch.get_rng_state(), state)
    assert asked.training and same_state(before, snapshot(asked))
    assert all(p.grad is None for p in asked.parameters())
    assert not student.training and not same_state(begun, snapshot(student))
    assert [row["step"] for row in checkpointer.rows] == [1, 2, 3, 4]


def test_distillation_brings_the_answers_together() -> None:
    x, rates = public().float() / 255, []
    for epochs in (1, 60):
        student, _ = fit("distil", epochs=epochs, lr=0.02, milestones=[])
        answer, wanted = (network(x).logits.softmax(1) for network in (student, teacher()))
        rates.append((wanted * (wanted.log() - answer.log())).sum(1).mean())
    assert rates[1] < 0.5 * rates[0]


@pytest.mark.parametrize("name", ROWS)
def test_the_seed_decides(name: str) -> None:
    one, again, other = (snapshot(fit(name, seed=seed)[0]) for seed in (0, 0, 1))
    assert same_state(one, again) and not same_state(one, other)


@pytest.mark.parametrize("name", ROWS)
def test_a_resumed_training_equals_an_undisturbed_one(tmp_path: Path, name: str) -> None:
    with scratch(tmp_path, "whole") as checkpointer:
        whole = snapshot(fit(name, checkpointer)[0])
        wanted = checkpointer.history()
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "cut") as checkpointer:
        fit(name, Interrupted(checkpointer, 3))
    with scratch(tmp_path, "cut") as checkpointer:
        assert same_state(snapshot(fit(name, checkpointer)[0]), whole)
        assert checkpointer.history() == wanted


# --- distillation -------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_distillation_equals_a_live_teacher_and_members_alone(temperature: float) -> None:
    """KL(T || S) / tau^2 per member, each with its own optimiser, the teacher asked every time."""
    student, _ = fit("distil", temperature=temperature)
    live, members = teacher(), seeded(ToyStudents, CLASSES, seed=1).train().members
    passes = Passes(22, 6, stream_seed(0, "distillation", "batches"))
    for index, member in enumerate(members):
        sgd = torch.optim.SGD(member.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        for step in range(4 * 3):  # the partial batch is dropped
            sgd.param_groups[0]["lr"] = 0.1 if step < 9 else 0.01
            x = public()[passes.batch(step)].float() / 255
            with torch.no_grad():
                p = (live(x).logits / temperature).softmax(1)
            q = (member(x).logits / temperature).softmax(1)
            loss = (p * (p.log() - q.log())).sum() / 6 / temperature**2
            sgd.zero_grad()
            loss.backward()
            sgd.step()
        found = student.get_submodule(f"members.{index}").state_dict()
        for key, value in member.state_dict().items():
            assert torch.allclose(found[key].float(), value.float(), atol=1e-4), key


class Counting(Target):
    """Draws noise, and counts how often it is asked about an image."""

    num_classes, stochastic = CLASSES, True

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, images: Tensor) -> Output:
        self.asked += len(images)
        flat = images.flatten(1)
        return Output(flat[:, :CLASSES] + torch.randn(len(images), CLASSES), flat)


def test_a_teacher_is_asked_once_about_every_image() -> None:
    asked = Counting()
    method("distil").fit(learner("distil"), asked, public(), runtime(), Memory())
    assert asked.asked == 22


def test_feature_statistics_are_the_teachers() -> None:
    _, learnt = fit("distil")
    features = teacher()(public().float() / 255).features
    assert torch.allclose(learnt["feature_mean"], features.mean(dim=0), atol=1e-5)
    some = fit("distil", statistics_images=4)[1]["feature_mean"]
    assert not torch.allclose(some, learnt["feature_mean"], atol=1e-4)
    picked = torch.randperm(22, generator=runtime().generator("feature statistics"))[:4]
    assert torch.allclose(some, features[picked].mean(dim=0), atol=1e-5)


def test_of_each_class_the_mean_feature_of_its_likeliest_images_is_kept() -> None:
    """Equation 8, by the teacher; nothing else changes."""
    student, learnt = fit("distil", signature_images=4)
    plain, nothing = fit("distil")
    answers = teacher()(public().float() / 255)
    likeliest = answers.logits.softmax(dim=1).argsort(dim=0, descending=True)[:4]  # (4, C)
    assert torch.allclose(learnt["auxiliary"], answers.features[likeliest].mean(dim=0), atol=1e-5)
    assert set(nothing) == {"feature_mean"} and same_state(snapshot(student), snapshot(plain))


def test_more_images_of_a_class_than_there_are_stop_before_anything_is_learnt() -> None:
    checkpointer = Memory()
    with pytest.raises(ValueError, match="signature_images: 23 is more than the 22 public images"):
        fit("distil", checkpointer, signature_images=23)
    assert not checkpointer.rows


# --- fine-tuning --------------------------------------------------------------------------------


def test_hard_labels_are_the_classes_of_the_likeliest_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    stolen = method("finetune, hard labels")
    monkeypatch.setattr(type(stolen), "learn", lambda self, *args: seen.extend(args))
    stolen.fit(teacher(), teacher(), public(), runtime(), Memory())
    _, shown, logits, *_ = seen
    assert len(shown) == CLASSES * 4
    classes = logits.softmax(1).argmax(1)
    assert torch.equal(logits.softmax(1), F.one_hot(classes, CLASSES).float())
    probabilities = teacher()(shown.float() / 255).logits.softmax(1)
    every = teacher()(public().float() / 255).logits.softmax(1)
    for label in range(CLASSES):
        least = probabilities[classes == label, label].min()
        assert int((every[:, label] > least + 1e-6).sum()) < 4


@pytest.mark.parametrize("key", ["epochs", "lr", "temperature", "batch_size"])
def test_wrong_blocks(key: str) -> None:
    with pytest.raises(ValueError, match=rf"distil\.{key}: 0.* is (not in \(0, 1e\+30\]|under 1)"):
        method("distil", **{key: 0})


@pytest.mark.parametrize("name", ROWS)
def test_a_student_that_diverges_stops_with_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r"^epoch \d of \d.*lr: 1e\+20 is too high"):
        fit(name, lr=1e20)
