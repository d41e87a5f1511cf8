"""Classifiers between files and memory."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from programs import exported
from toy import BLOCKS, PEOPLE, Memory, images, plan, private, runtime, same_state, uniform
from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers, initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.config.study import TargetRow
from trapmid.defenses import none
from trapmid.training import fit
from trapmid.training.classifier import Splits, Trained
from trapmid.types import Defense

CLASSES, SIZE = 3, 16
ARCH = {"rolss": "small_resnet"}  # small_vgg has no skip connection


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random"
    path.write_text("random\n")
    return path


def row(init: Path, **changes: Any) -> TargetRow:
    fields: dict[str, Any] = {
        "data": "faces",
        "arch": "small_vgg",
        "defense": "none",
        "method": "none",
        "block": "none",
        "training": "target",
        "init": str(init),
        "seed": 0,
    }
    return TargetRow(**(fields | changes))


def row_of(init: Path, name: str) -> TargetRow:
    method = BLOCKS[name][0]
    return row(init, method=method, defense=name, arch=ARCH.get(method, "small_vgg"))


def train(init: Path, name: str) -> Trained:
    return classifiers.train(
        row_of(init, name),
        plan(epochs=1),
        wiring.defense(*BLOCKS[name], name),
        private(CLASSES, SIZE),
        runtime(),
        Memory(),
    )


def test_weights_that_a_word_stands_for_are_traced(
    tmp_path: Path, init: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word is the same on two machines, the files in their caches need not be."""
    trained, path = train(init, "none"), tmp_path / "model.pt"
    (word := tmp_path / "word").write_text("timm resnet152.tv2_in1k\n")
    (weights := tmp_path / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(initial, "_in_cache", {"resnet152.tv2_in1k": weights}.get)
    classifiers.save(path, "row-0", row_of(word, "none"), trained, SIZE, PEOPLE)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (word, weights)]
    found = classifiers.load(path, runtime()).lineage.sources
    assert found == dict(zip(("init", "weights"), digests, strict=True))


@pytest.mark.parametrize("method", BLOCKS)
def test_a_trained_classifier_comes_back(tmp_path: Path, init: Path, method: str) -> None:
    trained, path = train(init, method), tmp_path / "model.pt"
    classifiers.save(path, "row-0", row_of(init, method), trained, SIZE, PEOPLE)
    found = classifiers.load(path, runtime())
    x, answers = images(5, size=SIZE), []
    for network in (found.model, trained.model.eval()):
        torch.manual_seed(0)  # a stochastic network's noise
        answers.append(network(x).logits)
    assert torch.equal(*answers)
    assert found.model.stochastic == (method == "mid, fresh")
    assert not found.model.training and not any(p.requires_grad for p in found.model.parameters())
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.meta["row"] == "row-0" and found.meta["defense"] == method
    assert found.meta["test_accuracy"] == trained.fitted.test_accuracy
    assert found.meta["trapdoor_success"] == trained.fitted.trapdoor_success
    assert found.meta["facts"] == trained.objective.facts()
    assert found.lineage.sources["init"] == hashlib.sha256(init.read_bytes()).hexdigest()
    if trained.objective.trapdoor is None:
        assert found.trapdoor is None and trained.fitted.trapdoor_success is None
    else:
        mine, saved = found.trapdoor, trained.objective.trapdoor
        assert mine is not None and saved is not None and 0 <= found.meta["trapdoor_success"] <= 1
        assert torch.equal(mine.triggers, saved.triggers) and torch.equal(mine.alpha, saved.alpha)
        y = torch.tensor([2, 0, 1, 1, 0])
        assert torch.equal(mine(x, y), saved(x, y))


@pytest.mark.parametrize("method", ["none", "mid", "dpsgd"])
def test_equal_trainings_give_equal_files(tmp_path: Path, init: Path, method: str) -> None:
    for name in ("a.pt", "b.pt"):
        torch.rand(3)
        trained = train(init, method)
        classifiers.save(tmp_path / name, "row-0", row_of(init, method), trained, SIZE, PEOPLE)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def without_validation() -> dict[str, torch.Tensor]:
    whole = private(CLASSES, SIZE)
    return whole | {name: whole[name][:0] for name in ("val_images", "val_labels")}


@pytest.mark.parametrize("select", ["test", "last"])
def test_a_checkpoint_without_a_validation_accuracy(
    tmp_path: Path, init: Path, select: str
) -> None:
    how, given = plan(epochs=2, select=select), without_validation()
    defense = wiring.defense(*BLOCKS["none"], "none")
    trained = classifiers.train(row(init), how, defense, given, runtime(), Memory())
    path = tmp_path / "model.pt"
    classifiers.save(path, "none-0", row(init), trained, SIZE, PEOPLE)
    meta = classifiers.load(path, runtime()).meta
    assert meta["val_accuracy"] is None and 0 <= meta["test_accuracy"] <= 1


def test_an_epoch_cannot_be_chosen_on_images_that_are_not_there(init: Path) -> None:
    defense, given = wiring.defense(*BLOCKS["none"], "none"), without_validation()
    with pytest.raises(ValueError, match="choose test or last") as error:
        classifiers.train(row(init), plan(), defense, given, runtime(), Memory())
    assert str(error.value) == (
        "classifier_training.target.select: val, but data.faces has no validation images "
        "(val_fraction: 0); "
        "choose test or last"
    )


@pytest.mark.parametrize("part", ["weights", "triggers"])
def test_a_classifier_that_diverged_is_neither_saved_nor_loaded(
    tmp_path: Path, init: Path, part: str
) -> None:
    trained, path = train(init, "trapmid"), tmp_path / "model.pt"
    trapdoor = trained.objective.trapdoor
    assert trapdoor is not None
    classifiers.save(path, "row-0", row_of(init, "trapmid"), trained, SIZE, PEOPLE)
    whole = checkpoints.load(path)
    broken = trapdoor.triggers if part == "triggers" else next(trained.model.parameters())
    with torch.no_grad():
        broken.fill_(torch.nan)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"model\.pt: [\w.]+ is not finite: the training div"):
        classifiers.save(path, "row-0", row_of(init, "trapmid"), trained, SIZE, PEOPLE)
    assert not path.exists()
    place = whole["trapdoor"] if part == "triggers" else whole["state"]
    next(value for value in place.values() if torch.is_tensor(value)).fill_(torch.inf)
    checkpoints.save(path, whole)
    with pytest.raises(CheckpointError, match=r"model\.pt: [\w.]+ is not finite"):
        classifiers.load(path, runtime())


def test_files_that_are_no_classifiers(tmp_path: Path, init: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(CheckpointError, match=r"model\.pt: no such file"):
        classifiers.load(path, runtime())
    classifiers.save(path, "row-0", row(init), train(init, "none"), SIZE, PEOPLE)
    content = checkpoints.load(path)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"training": "gmi", "state": {}}, r"model\.pt: not a classifier; no 'arch'"),
        (content | {"code": "0"}, r"model\.pt: made by another version of trapmid\.targets"),
        (content | {"state": {}}, r"model\.pt: does not fit Network: \d+ weights missing"),
        (content | {"num_classes": 5}, r"model\.pt: does not fit Network: .*size mismatch"),
        (content | {"arch": "vgg17"}, r"targets: no 'vgg17'; there are "),
        (
            content | {"adapted": {"method": "mid", "block": {"width": 3}}},
            r"model\.pt: adapted: missing \['noise', 'weight'\].*`dvc repro` renews it",
        ),
    ]
    for replaced, message in wrong:
        checkpoints.save(path, replaced)
        with pytest.raises((CheckpointError, ValueError), match=message) as caught:
            classifiers.load(path, runtime())
        assert "\n" not in str(caught.value)


# --- finished networks --------------------------------------------------------------------------

GIVEN = plan(epochs=0, select="last")


def take(init: Path, method: str, content: dict[str, torch.Tensor] | None = None) -> Trained:
    return classifiers.train(
        row_of(init, method),
        GIVEN,
        wiring.defense(*BLOCKS[method], method),
        content or private(CLASSES, SIZE),
        runtime(seed=5),
        Memory(),
    )


@pytest.mark.parametrize("method", BLOCKS)
def test_a_given_network_is_taken_head_and_all(tmp_path: Path, init: Path, method: str) -> None:
    """Under another seed than it was trained with, so that nothing drawn anew can pass for it."""
    trained, first, second = train(init, method), tmp_path / "first.pt", tmp_path / "second.pt"
    classifiers.save(first, "row-0", row_of(init, method), trained, SIZE, PEOPLE)
    taken = take(first, method)
    assert same_state(taken.model.state_dict(), trained.model.state_dict())
    classifiers.save(second, "given-0", row_of(first, method), taken, SIZE, PEOPLE)
    found, original = classifiers.load(second, runtime()), classifiers.load(first, runtime())
    assert found.lineage.sources["init"] == original.digest
    assert found.meta["epoch"] == 0 and found.meta["select"] == "last"
    data = Splits.of(private(CLASSES, SIZE)).test
    if not found.model.stochastic:
        assert found.meta["test_accuracy"] == fit.accuracy(original.model, data)
    if (trapdoor := original.trapdoor) is not None:
        assert found.trapdoor is not None and found.meta["trapdoor_success"] is not None
        assert same_state(found.trapdoor.state_dict(), trapdoor.state_dict())


def test_files_that_are_no_finished_network(tmp_path: Path, init: Path) -> None:
    path = tmp_path / "model.pt"
    classifiers.save(path, "row-0", row(init), train(init, "none"), SIZE, PEOPLE)
    bare = {"state": checkpoints.load(path)["state"]}
    wrong: list[tuple[dict[str, Any], str, int, str]] = [
        (checkpoints.load(path), "none", 4, "num_classes is 3, the row's is 4"),
        (checkpoints.load(path) | {"arch": "vgg16"}, "none", 3, "arch is 'vgg16', .* 'small_vgg'"),
        (checkpoints.load(path) | {"image_size": 32}, "none", 3, "image_size is 32, .* is 16"),
        (bare, "none", 4, "does not fit small_vgg: 2 of another shape"),
        (bare, "mid", 3, r"does not fit small_vgg: \d+ weights missing"),
        (bare, "trapmid", 3, r"needs triggers \(3, 3, 16, 16\), the file has nothing"),
        (
            bare | {"trapdoor": {"triggers": torch.rand(3, 3, 8, 8)}},
            *("trapmid", 3),
            r"needs triggers \(3, 3, 16, 16\), the file has \(3, 3, 8, 8\)",
        ),
        (
            bare | {"trapdoor": {"triggers": torch.full((3, 3, 16, 16), torch.nan)}},
            *("trapmid", 3),
            "triggers is not finite",
        ),
    ]
    for content, method, people, message in wrong:
        checkpoints.save(path, content)
        with pytest.raises(CheckpointError, match=rf"model\.pt: .*{message}") as caught:
            take(path, method, private(people, SIZE))
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="random: 'random' is no finished network"):
        take(init, "none")


def test_a_given_network_is_that_of_the_rows_defence(tmp_path: Path, init: Path) -> None:
    """Its weights fit all the same: another blend of triggers, another noise, a weaker shortcut."""
    for method, key, value, words in (
        ("trapmid", "alpha", 0.5, r"triggers have alpha 0\.\d+, those of the row 0\.5"),
        ("mid", "noise", "fresh", r"mid\.noise is 'mean', the row's is 'fresh'"),
        ("rolss", "scale", 0.75, r"rolss\.scale is 0\.0, the row's is 0\.75"),
    ):
        path, (module, block) = tmp_path / f"{method}.pt", BLOCKS[method]
        classifiers.save(path, "row-0", row_of(init, method), train(init, method), SIZE, PEOPLE)
        other = wiring.defense(module, {**block, key: value}, method)
        with pytest.raises(CheckpointError, match=rf"{method}\.pt: .*{words}; `set` of the row"):
            given(path, method, other)
    undefended, rolss = wiring.defense(*BLOCKS["none"], "none"), tmp_path / "rolss.pt"
    with pytest.raises(CheckpointError, match=r"that altered its network is rolss, not none"):
        given(rolss, "rolss", undefended, "none")


def given(path: Path, method: str, defense: Defense, name: str | None = None) -> Trained:
    row = replace(row_of(path, method), method=name or BLOCKS[method][0])
    return classifiers.train(row, GIVEN, defense, private(CLASSES, SIZE), runtime(seed=5), Memory())


class Nearest(nn.Module):
    """Names the person of whom `private` drew an image; output `i` is person `order[i]`."""

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        patterns = uniform(len(order), 3, SIZE, SIZE, seed=99).flatten(1) - 0.5
        self.patterns = nn.Parameter(patterns[order])

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - 0.5) @ self.patterns.T


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 2, 3, 0], [0, 1, 3, 2]])
def test_a_program_has_its_people_in_the_order_of_the_labels(
    order: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "mine.pt2"
    path.write_bytes(exported(Nearest(order).eval(), torch.rand(2, 3, SIZE, SIZE)))
    theirs = row(path, arch="exported", training="given", data="staff")
    defense, content = wiring.defense(*BLOCKS["none"], "none"), private(4, SIZE)

    def taken() -> Trained:
        return classifiers.train(theirs, GIVEN, defense, content, runtime(), Memory())

    if order == [0, 1, 2, 3]:
        assert taken().fitted.test_accuracy == 1.0
        return
    share = sum(order[i] == i for i in range(4)) / 4
    with pytest.raises(CheckpointError) as caught:
        taken()
    assert str(caught.value) == (
        f"{path}: names {share:.0%} of 32 training images, and 100% if its outputs stood for other "
        "people; they must be in the order of the labels of data/prepared/staff/manifest.csv"
    )


def test_without_epochs_there_is_none_to_choose() -> None:
    with pytest.raises(ValueError, match="select: val needs epochs to choose from"):
        plan(epochs=0, select="val")
    with pytest.raises(ValueError, match="milestones: 3 is not reached in 0 epochs"):
        plan(epochs=0, select="last", milestones=(3,))


# --- initial weights ----------------------------------------------------------------------------


def test_a_random_start_depends_on_seed_and_outputs_alone(init: Path) -> None:
    def state(seed: int, outputs: int = 3) -> Any:
        torch.rand(3)
        return classifiers.new_network("small_vgg", outputs, 16, init, runtime(seed)).state_dict()

    assert same_state(state(0), state(0))
    assert not same_state(state(0), state(1))
    # A discriminator of the same architecture starts elsewhere.
    assert not torch.equal(state(0)["blocks.0.0.weight"], state(0, 1)["blocks.0.0.weight"])
    before = torch.get_rng_state()
    classifiers.new_network("small_vgg", 2, 16, init, runtime())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_published_weights_reach_the_trunk_and_every_discriminator(tmp_path: Path) -> None:
    (random := tmp_path / "random").write_text("random")
    published = classifiers.new_network("vgg16", 2, 32, random, runtime(seed=9)).state_dict()
    torch.save(published, tmp_path / "vgg16.pth")
    for outputs in (3, 1):
        network = classifiers.new_network("vgg16", outputs, 32, tmp_path / "vgg16.pth", runtime())
        for key, value in network.state_dict().items():
            if key.startswith("features."):
                assert torch.equal(value, published[key])
        assert network(images(2, size=32)).logits.shape == (2, outputs)


def test_the_defence_is_given_what_it_may_know(init: Path) -> None:
    seen: list[Any] = []

    class Curious(none.Defense):
        def objective(self, setting: Any) -> Any:
            seen.append(setting)
            return super().objective(setting)

    classifiers.train(
        row(init),
        plan(epochs=1, lr=0.3, optimizer="adam"),
        Curious(augmentation=None),
        private(CLASSES, SIZE),
        runtime(),
        Memory(),
    )
    (setting,) = seen
    assert setting.image_shape == (3, SIZE, SIZE) and setting.num_classes == CLASSES
    critic = setting.new_network(1)
    assert critic(images(2, size=SIZE)).logits.shape == (2, 1)
    optimizer = setting.new_optimizer(critic.parameters())
    assert isinstance(optimizer, torch.optim.Adam) and optimizer.param_groups[0]["lr"] == 0.3
