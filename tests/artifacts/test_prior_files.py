"""Priors on disk: what is exported as initial weights starts another prior."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from toy import LINEAGE, PLGMI, ToyTarget
from trapmid import cli, wiring
from trapmid.artifacts import checkpoints, priors
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.classifiers import LoadedClassifier
from trapmid.artifacts.lineage import Lineage, Traced
from trapmid.runtime import Runtime

RT = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
BLOCK = PLGMI | {"batch_size": 2, "top_n": 2}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A one-class prior on disk."""
    training = wiring.prior_training("plgmi", BLOCK)
    priors.save(tmp_path / "prior.pt", "plgmi", BLOCK, 8, training.make(8, 1), LINEAGE)
    return tmp_path / "prior.pt"


def test_exported_weights_start_every_class_alike(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half precision of the public prior; each class of the guided one draws the same image."""
    file = tmp_path / "weights" / "start.pt"
    assert cli.main(["export", str(saved), str(file)]) == 0
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"{digest}  {file}\n"
    prior = priors.start(wiring.prior_training("plgmi", BLOCK), 8, 3, file, RT).eval()
    latents, labels = torch.randn(1, BLOCK["latent_dim"]).expand(3, -1), torch.arange(3)
    with torch.no_grad():
        images = prior(latents, labels)
        public = priors.load(saved, RT).prior(latents, torch.zeros(3, dtype=torch.int64))
    assert torch.allclose(images[0], images[2], atol=1e-6)
    assert torch.allclose(images, public, atol=1e-2)  # float16 keeps three digits


def test_a_start_of_another_shape_is_refused_in_one_line(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "start.pt"
    priors.export(saved, file)
    wider = wiring.prior_training("plgmi", BLOCK | {"width": 8})
    with pytest.raises(CheckpointError, match=r"start\.pt: init: .*size mismatch") as caught:
        priors.start(wider, 8, 3, file, RT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "size", "people", "learnt_from", "words"),
    [
        (1, 8, "p", None, None),
        (3, 8, "p", "the target", None),
        (3, 16, "p", "the target", "makes images of 16 pixels, .*model.pt sees 8"),
        (9, 8, "p", "the target", "knows 9 classes, .*model.pt has 3"),
        (2, 8, "p", "the target", "knows 2 classes, .*model.pt has 3"),
        (1, 8, "q", None, "belongs to other private people than .*model.pt"),
        (3, 8, "p", "another", "belongs to another target than .*model.pt"),
    ],
)
def test_a_prior_fits_what_it_attacks(
    tmp_path: Path, classes: int, size: int, people: str, learnt_from: str | None, words: str | None
) -> None:
    path = tmp_path / "prior.pt"
    prior = wiring.prior_training("plgmi", BLOCK).make(size, classes)
    lineage = Lineage(people=people, target=learnt_from)
    priors.save(path, "plgmi", BLOCK, size, prior, lineage)
    target = LoadedClassifier(
        model=ToyTarget(3),
        trapdoor=None,
        meta={},
        path=Path("model.pt"),
        digest="the target",
        image_size=8,
        lineage=Lineage(people="p", target=None),
    )
    surrogate = replace(
        target, digest="other", lineage=replace(target.lineage, target="the target")
    )
    for asked in (target, surrogate):
        if words is None:
            priors.check_fits(priors.load(path, RT), asked)
        else:
            with pytest.raises(CheckpointError, match=rf"prior\.pt: {words}"):
                priors.check_fits(priors.load(path, RT), asked)


@pytest.mark.parametrize(
    ("people", "learnt_from", "words"),
    [
        ("p", None, (None, None)),
        ("q", None, ("belongs to other private people",) * 2),
        ("p", "one", (None, "learnt from a target, of which a public prior knows nothing")),
        ("p", "two", ("belongs to another target", "learnt from a target")),
    ],
    ids=["public", "other people", "the same target", "another target"],
)
def test_a_prior_starts_from_what_it_may_know(
    tmp_path: Path, people: str, learnt_from: str | None, words: tuple[str | None, str | None]
) -> None:
    """A guided prior that asks the target `one`, and a public one, both beside the people `p`."""
    init = tmp_path / "prior.pt"
    prior = wiring.prior_training("plgmi", BLOCK).make(8, 1)
    priors.save(init, "plgmi", BLOCK, 8, prior, Lineage(people=people, target=learnt_from))
    for target, refused in zip(("one", None), words, strict=True):
        about = Traced(Path("what it learns from"), "p", target)
        if refused is None:
            priors.check_start(init, about)
        else:
            with pytest.raises(CheckpointError, match=rf"prior\.pt: {refused}"):
                priors.check_start(init, about)


def test_weights_that_say_nothing_of_their_origin_are_taken(saved: Path, tmp_path: Path) -> None:
    about = Traced(Path("what it learns from"), "p", None)
    priors.export(saved, tmp_path / "weights.pt")
    priors.check_start(tmp_path / "weights.pt", about)
    (tmp_path / "random").write_text("random\n", encoding="utf-8")
    priors.check_start(tmp_path / "random", about)
    priors.check_start(tmp_path / "missing", about)  # `start` names it


def test_a_prior_that_diverged_is_neither_saved_exported_nor_loaded(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior, path = priors.load(saved, RT).prior, tmp_path / "new" / "prior.pt"
    content, words = checkpoints.load(saved), r"prior\.pt: [\w.]+ is not finite"
    for value in (torch.nan, torch.inf):
        next(prior.parameters()).fill_(value)
        with pytest.raises(CheckpointError, match=words):
            priors.save(path, "plgmi", BLOCK, 8, prior, LINEAGE)
        assert not path.exists()
        checkpoints.save(saved, content | {"state": prior.state_dict()})
        with pytest.raises(CheckpointError, match=words):
            priors.load(saved, RT)
    next(prior.parameters()).fill_(1e5)  # in single precision a number, in half precision infinity
    checkpoints.save(saved, content | {"state": prior.state_dict()})
    assert cli.main(["export", str(saved), str(tmp_path / "half.pt")]) == 2
    error = capsys.readouterr().err
    assert "half.pt: " in error and "is not finite" in error and error.count("\n") == 1
    assert not (tmp_path / "half.pt").exists()
