"""`trapmid audit` before it runs anything: what it refuses, what it writes, and a whole one."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from checkout import Checkout
from PIL import Image
from ruamel.yaml import YAML
from torch import Tensor, nn

import fake_study
from programs import exported
from trapmid import cli
from trapmid.audit import in_memory, model, run
from trapmid.audit import people as of_people
from trapmid.audit.folder import MODEL, Folder
from trapmid.audit.people import Private
from trapmid.data.drawing.images import portraits
from trapmid.data.listing import Entry
from trapmid.metrics.statistics import intervals
from trapmid.nets import dlib_resnet, program
from trapmid.report import summary

ROOT = Path(__file__).resolve().parents[2]
SIZE, IMAGES = 16, 12
NAMES = ("ada", "bo b", "cé", "di")


def drawn(people: range, images: range) -> Tensor:
    return portraits([(p, i) for p in people for i in images], seed=0, size=SIZE)


def save(image: Tensor, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)


class Linear(nn.Module):
    """Names who is drawn; `order` is that of its outputs."""

    def __init__(self, images: Tensor, labels: Tensor, order: list[int]) -> None:
        super().__init__()
        pixels = images.float().div(255).flatten(1)
        wanted = F.one_hot(torch.tensor(order)[labels], len(order)).float() * 2 - 1
        ones = torch.ones(len(pixels), 1)
        solved = torch.linalg.lstsq(torch.cat([pixels, ones], 1), wanted, driver="gelsd").solution
        self.layer = nn.Linear(pixels.shape[1], len(order))
        with torch.no_grad():
            self.layer.weight.copy_(solved[:-1].T)
            self.layer.bias.copy_(solved[-1])

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1))


class Brightness(nn.Module):
    """Takes every image for the first person, or every one for the last."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([4.0, 3.0, 2.0, 1.0]))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).mean(dim=1, keepdim=True) * self.weights


class World:
    """Faces in folders, and models that know them."""

    def __init__(self, root: Path) -> None:
        self.root, self.private, self.public = root, root / "private", root / "public"
        self.faces = drawn(range(1, 5), range(IMAGES))
        self.labels = torch.arange(4).repeat_interleave(IMAGES)
        for index, image in enumerate(self.faces):
            save(image, self.private / NAMES[index // IMAGES] / f"{index:03}.png")
        for index, image in enumerate(drawn(range(50, 80), range(1))):
            save(image, self.public / f"{index:03}.png")

    def model(self, name: str = "model", order: tuple[int, ...] = (0, 1, 2, 3)) -> Path:
        path = self.root / f"{name}.pt2"
        if not path.exists():
            made = Linear(self.faces, self.labels, list(order)).eval()
            path.write_bytes(exported(made, torch.rand(2, 3, SIZE, SIZE)))
        return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("audited"))


def request(world: World, path: Path, **changes: Any) -> run.Request:
    fields: dict[str, Any] = {
        "model": path,
        "private": world.private,
        "public": world.public,
        "min_images": 5,
        "most_images": None,
        "image_size": None,
        "classes": None,
        "profile": "audit",
        "verifier": None,
        "force": False,
    }
    return run.Request(**(fields | changes))


class Quiet(Folder):
    """A folder in which DVC is not run."""

    def dvc(self, *words: str) -> None:
        (self.path / ".dvc").mkdir()


def test_what_it_writes(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_resnet, "Recogniser", object)  # as if it were installed
    folder = Quiet(tmp_path / "a", ROOT)
    run.prepare(request(world, world.model(), verifier="dlib"), folder)
    params = YAML(typ="safe").load((folder.path / "params.yaml").read_text())
    row = params["data"]["faces"]
    assert row["private"] == {"reader": "people", "path": "data/external/private"}
    assert row["public"] == {"reader": "flat", "path": "data/external/public"}
    assert (row["image_size"], row["identities"], row["min_images"]) == (16, 4, 5)
    assert params["validation"]["images_per_class"] == [5, 100_000]
    audited = params["targets"]["audited-0"]
    assert (audited["arch"], audited["init"]) == ("exported", "models/external/model.pt2")
    assert params["classifier_training"][audited["training"]]["epochs"] == 0
    asked = {(one["attack"], one["target"]) for one in params["attack_runs"].values()}
    both = ("audited-0", "control-0")
    attacks = ("gmi", "plgmi", "lomma_gmi", "brepmi")  # the model returns no features
    wanted = {(attack, target) for attack in attacks for target in both}
    assert asked == wanted | {("random", "audited-0")}
    assert params["judges"]["verifier"]["method"] == "dlib"
    assert {one["verifier"] for one in params["attack_runs"].values()} == {
        "data/features/judges/verifier.pt"
    }
    assert (folder.path / "data/external/private").resolve() == world.private.resolve()
    assert (folder.path / "src/trapmid/audit").is_dir()


def test_a_verifier_that_is_not_installed_is_one_line_and_nothing_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be found when its stage's turn comes, after an hour."""

    def missing() -> None:
        raise ValueError("dlib: not installed; `pip install --editable '.[faces]'`")

    monkeypatch.setattr(dlib_resnet, "Recogniser", missing)
    folder = Quiet(tmp_path / "a", ROOT)
    with pytest.raises(ValueError, match=r"^dlib: not installed; `pip install [^\n]*`$"):
        run.prepare(request(world, world.model(), verifier="dlib"), folder)
    assert not folder.path.exists()


def test_the_file_that_was_given_is_named_by_its_digest(world: World, tmp_path: Path) -> None:
    """The copy that is attacked is another file where its outputs were put in order."""
    faces = tmp_path / "faces"
    shutil.copytree(world.private, faces)
    save(world.faces[0], faces / "ed" / "0.png")
    folder = Quiet(tmp_path / "a", ROOT)
    run.prepare(replace(request(world, world.model()), private=faces), folder)
    params = YAML(typ="safe").load((folder.path / "params.yaml").read_text())
    given = world.model().read_bytes()
    assert (folder.path / MODEL).read_bytes() != given
    assert params["audit"] == {
        "sha256": hashlib.sha256(given).hexdigest(),
        "left_out": 1,
        "dropped": 0,
    }


def test_of_everybody_so_many_images_at_most(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Quiet(tmp_path / "a", ROOT)
    run.prepare(request(world, world.model(), most_images=4), folder)
    params = YAML(typ="safe").load((folder.path / "params.yaml").read_text())
    assert params["data"]["faces"]["images_each"] == 4
    assert params["validation"]["images_per_class"] == [4, 100_000]
    line = f"4 people with {IMAGES} images each, of which 4 at most are drawn\n"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("counts", "most", "words"),
    [
        ((5, 6, 20), None, "3 people with 5 to 20 images; one has 65% of all. "),
        ((5, 6, 20), 30, "3 people with 5 to 20 images; one has 65% of all. "),
        ((5, 7, 20), None, None),
    ],
)
def test_one_with_many_more_images_is_told(
    counts: tuple[int, ...], most: int | None, words: str | None
) -> None:
    entries = tuple((Entry(Path("x.jpg"), 1, ""),) * count for count in counts)
    said = run.balance(Private("people", tuple(map(str, counts)), entries, ()), most)
    if words is None:
        assert said == "3 people with 5 to 20 images"
    else:
        assert said.startswith(words) and said.endswith(
            "--most-images 6 would draw as many of everybody"
        )


class Described(nn.Module):
    """Returns what it made of an image beside its names."""

    def __init__(self, named: nn.Module, describe: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.named, self.describe = named, describe

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.named(images)
        return logits, self.describe(images, logits)


@pytest.mark.parametrize(
    ("describe", "weight"),
    [
        (None, 0.0),
        (lambda images, logits: logits, 0.0),
        (lambda images, logits: images.mean(dim=(2, 3)), 1.0),
    ],
    ids=["nothing", "the_logits_again", "features"],
)
@pytest.mark.parametrize("classes", [None, ("cé", "di", "ada", "bo b")])
def test_logits_are_drawn_to_no_mean_where_there_are_no_features(
    world: World,
    tmp_path: Path,
    describe: Callable[[Tensor, Tensor], Tensor] | None,
    weight: float,
    classes: tuple[str, ...] | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the order of the outputs: a program that is put in order returns both."""
    order = [NAMES.index(name) if classes is None else classes.index(name) for name in NAMES]
    named = Linear(world.faces, world.labels, order).eval()
    made = named if describe is None else Described(named, describe)
    path = tmp_path / "one.pt2"
    path.write_bytes(exported(made, torch.rand(2, 3, SIZE, SIZE)))
    listed = None
    if classes is not None:
        listed = tmp_path / "classes.txt"
        listed.write_text("\n".join(classes), encoding="utf-8")
    folder = Quiet(tmp_path / "a", ROOT)
    run.prepare(request(world, path, classes=listed), folder)
    params = YAML(typ="safe").load((folder.path / "params.yaml").read_text())
    assert params["attacks"]["lomma"]["feature_weight"] == weight
    seeking = [row for row in params["attack_runs"].values() if row["attack"] == "lomma_gmi_plus"]
    assert len(seeking) == 2 * (weight > 0)  # of the model and of the control
    assert ("one.pt2 returns no features" in capsys.readouterr().out) == (weight == 0)


def test_people_are_numbered_as_the_model_was_asked(world: World, tmp_path: Path) -> None:
    """A profile that takes who has the most images first would give people others' outputs."""
    (project := tmp_path / "project").mkdir()
    for name in ("stages", "dvc.yaml", ".dvcignore"):
        (project / name).symlink_to(ROOT / name)
    (project / "profiles").mkdir()
    for file in (ROOT / "profiles").glob("*.yaml"):
        (project / "profiles" / file.name).symlink_to(file)
    own = "base: audit\ndata: {faces: {private_order: images, max_images: 12, images_each: 3}}\n"
    (project / "profiles" / "own.yaml").write_text(own)
    folder = Quiet(tmp_path / "a", project)
    run.prepare(request(world, world.model(), profile="own"), folder)
    params = YAML(typ="safe").load((folder.path / "params.yaml").read_text())
    row = params["data"]["faces"]
    assert row.get("private_order", "number") == "number"
    assert row.get("max_images") is None and row.get("lists") is None
    assert row["images_each"] is None


def test_a_model_that_knows_nobody_is_warned_of(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.prepare(request(world, world.model()), Quiet(tmp_path / "known", ROOT))
    assert capsys.readouterr().err == ""
    path = tmp_path / "always_the_first.pt2"
    path.write_bytes(exported(Brightness().eval(), torch.rand(2, 3, SIZE, SIZE)))
    run.prepare(request(world, path), Quiet(tmp_path / "unknown", ROOT))
    printed = capsys.readouterr()
    assert "always_the_first.pt2 names 25% of the first images of 4 people" in printed.out
    assert printed.err.startswith("warning: under 50%; ") and printed.err.count("\n") == 1


@pytest.mark.slow
def test_again_is_the_same_and_an_edit_is_kept(world: World, tmp_path: Path) -> None:
    folder, asked = Quiet(tmp_path / "a", ROOT), request(world, world.model())
    run.prepare(asked, folder)
    params = folder.path / "params.yaml"
    text = params.read_text()
    run.prepare(asked, folder)
    assert params.read_text() == text
    params.write_text(text.replace("images_per_class: 5", "images_per_class: 9"))
    with pytest.raises(ValueError, match=r"params\.yaml: edited since"):
        run.prepare(asked, folder)
    run.prepare(request(world, world.model(), force=True), folder)
    assert params.read_text() == text


def test_another_model_in_the_same_folder_is_said(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both may be called model.pt2; the same one again, put in another order, is no other."""
    folder, order = Quiet(tmp_path / "a", ROOT), ("di", "ada", "cé", "bo b")
    shuffled = world.model("shuffled", tuple(order.index(name) for name in NAMES))
    (classes := tmp_path / "classes.txt").write_text("\n".join(order), encoding="utf-8")
    for _ in range(2):
        run.prepare(request(world, shuffled, classes=classes), folder)
        assert "replaced" not in capsys.readouterr().out
    run.prepare(request(world, world.model()), folder)
    said = f"{folder.path} was the audit of another model file: its results are replaced\n"
    assert said in capsys.readouterr().out


def test_outputs_are_put_in_the_order_of_the_labels(world: World, tmp_path: Path) -> None:
    """A reader numbers people by a digest of their names; models have them sorted, or as a list."""
    shuffled = ("di", "ada", "cé", "bo b")
    path = world.model("shuffled", tuple(shuffled.index(name) for name in NAMES))
    classes = tmp_path / "classes.txt"
    classes.write_text("\n".join(shuffled), encoding="utf-8")
    own = of_people.private(world.private, 5)
    assert set(own.names) == set(NAMES) and own.names != NAMES
    for file, listed in ((world.model(), None), (path, classes)):
        order = of_people.order_of(own, listed, 4)
        content = model.reordered(model.tried(file, SIZE), order, SIZE)
        program.check(program.read(content), 4, SIZE)
        assert model.check_knows(content, of_people.probes(own, SIZE)) == 1.0
    folder = Quiet(tmp_path / "a", ROOT)
    with pytest.raises(ValueError, match=r"100% if its outputs stood for .*--classes"):
        run.prepare(request(world, path), folder)
    assert not folder.path.exists()


def test_a_linked_person_is_refused_before_anything_is_written(
    world: World, tmp_path: Path
) -> None:
    """DVC would see no change behind the link, so the first stage would refuse it."""
    faces = tmp_path / "faces"
    shutil.copytree(world.private, faces)
    (away := tmp_path / "away").mkdir()
    (faces / NAMES[0]).rename(away / NAMES[0])
    (faces / NAMES[0]).symlink_to(away / NAMES[0])
    asked = replace(request(world, world.model()), private=faces)
    with pytest.raises(ValueError, match=rf"faces/{NAMES[0]}: is a link to a folder"):
        run.prepare(asked, Quiet(tmp_path / "a", ROOT))
    assert not (tmp_path / "a").exists()


def test_an_attack_in_memory_leaves_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the caller's own network, which may be trained on, however the attack ends."""
    network, frozen = nn.Linear(2, 3), []

    def search(*_: object) -> None:
        frozen.append(not any(p.requires_grad for p in network.parameters()))
        raise InterruptedError

    judge = SimpleNamespace(model=None)
    monkeypatch.setattr(in_memory, "_prior", lambda *_: None)
    monkeypatch.setattr(in_memory.classifier, "train", lambda *_: judge)
    monkeypatch.setattr(in_memory, "_search", search)
    people = SimpleNamespace(num_classes=3)
    with pytest.raises(InterruptedError):
        in_memory.attack(network, people, torch.zeros(1, 3, 8, 8))  # type: ignore[arg-type]
    assert frozen == [True] and all(p.requires_grad for p in network.parameters())


def test_an_attack_in_memory_says_where_its_search_broke() -> None:
    """Else the AA-1 of a model that lets no gradient through reads like protection."""
    found = in_memory.Found(
        model_accuracy=0.9,
        evaluator_accuracy=0.9,
        aa1=0.1,
        interval=intervals.wilson(2, 20),
        floor=0.05,
        accepted=0.3,
        images=torch.zeros(20, 3, 8, 8),
        labels=torch.arange(20) % 4,
        hit=torch.arange(20) < 2,
        private=torch.zeros(4, 3, 8, 8),
    )
    words = "AA-1 10% (95 % interval 3% to 30%) of 20 images, of which the model takes 30%"
    assert words in str(found)
    assert "\nthe search did not reach what it asked for, so it shows nothing" in str(found)
    assert "did not reach" not in str(replace(found, accepted=0.9))


def test_accents_may_be_written_as_macos_does(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("Zo\u00e9\nAnn\n", encoding="utf-8")
    assert of_people.order_of(known("Ann", "Zoe\u0301"), tmp_path / "c.txt", 2) == [1, 0]


def test_numbers_are_in_the_order_of_their_values() -> None:
    assert of_people.order_of(known("10", "9", "101"), None, 3) == [1, 0, 2]
    assert of_people.order_of(known("b", "a10", "a9"), None, 3) == [2, 0, 1]
    assert of_people.order_of(known("b", "10", "9"), None, 3) == [2, 0, 1]  # as ImageFolder


def test_who_is_left_out_may_have_an_output(tmp_path: Path) -> None:
    """The model then knows everybody in the folder, or whom the list names."""
    people = known("10", "9", few=("8", "11"))
    assert of_people.order_of(people, None, 2) == [1, 0]
    assert of_people.order_of(people, None, 4) == [2, 1]
    assert of_people.order_of(known("10", "9", few=("a",)), None, 3) == [0, 1]  # as ImageFolder
    (listed := tmp_path / "c.txt").write_text("10\n11\n9\n")
    assert of_people.order_of(people, listed, 3) == [0, 2]
    line = (
        r"^the model knows 3 classes, and the folder has 2 people with enough images "
        r"\(--min-images\) and 2 with fewer \(8, 11\): it must have an output for each of the "
        r"first, or for all, or --classes says whose its outputs are$"
    )
    with pytest.raises(of_people.AuditError, match=line):
        of_people.order_of(people, None, 3)
    line = r"^the model .* 2 people with enough images \(--min-images\): it must .* for each$"
    with pytest.raises(of_people.AuditError, match=line):
        of_people.order_of(known("10", "9"), None, 3)
    line = (
        r"c\.txt: names 3 people; of these 11 with too few images \(--min-images\), and the model "
        r"knows 2 classes: one line per output$"
    )
    with pytest.raises(of_people.AuditError, match=line):
        of_people.order_of(people, listed, 2)


def test_the_last_output_is_dropped_though_the_others_keep_their_place(world: World) -> None:
    given = model.tried(world.model(), SIZE)
    assert given.outputs == 4 and model.reordered(given, [0, 1, 2, 3], SIZE) == given.content
    assert program.check(program.read(model.reordered(given, [0, 1, 2], SIZE)), 3, SIZE) == 3


def with_three_images(world: World, faces: Path, few: Sequence[str]) -> Path:
    """A copy of the private folder, in which some people have three images."""
    shutil.copytree(world.private, faces)
    for name in few:
        for file in sorted((faces / name).iterdir())[3:]:
            file.unlink()
    return faces


def test_of_several_who_are_left_out_it_says_so(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = with_three_images(world, tmp_path / "faces", NAMES[:2])
    run.prepare(replace(request(world, world.model()), private=faces), Quiet(tmp_path / "a", ROOT))
    said = capsys.readouterr().out
    assert "left out: 2 people with under 5 images\n" in said
    assert "the model knows 2 of the people who are left out: these outputs are dropped\n" in said


def test_outputs_of_who_is_left_out_are_dropped(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = with_three_images(world, tmp_path / "faces", NAMES[1:2])
    folder = Quiet(tmp_path / "a", ROOT)
    run.prepare(replace(request(world, world.model()), private=faces), folder)
    said = capsys.readouterr().out
    assert "left out: 1 person with under 5 images\n" in said
    assert "the model knows 1 of the people who are left out: this output is dropped\n" in said
    assert "names 100% of the first images of 3 people" in said
    params = YAML(typ="safe").load((folder.path / "params.yaml").read_text())
    assert params["data"]["faces"]["identities"] == 3
    assert (params["audit"]["left_out"], params["audit"]["dropped"]) == (1, 1)
    given, kept = (
        program.asked(program.read(path.read_bytes()), torch.device("cpu"))
        for path in (world.model(), folder.path / MODEL)
    )
    order = [NAMES.index(name) for name in of_people.private(faces, 5).names]
    assert sorted(order) == [0, 2, 3]
    images = torch.rand(5, 3, SIZE, SIZE)
    assert torch.equal(
        program.ask(kept, images).logits, program.ask(given, images).logits[:, order]
    )


def known(*names: str, few: tuple[str, ...] = ()) -> Private:
    return Private("people", names, ((),) * len(names), few)


LISTS = {
    "twice": ("ada\nbo b\ncé\ndi\nada\n", "names ada twice"),
    "missing": ("ada\nbo b\ncé\n", "names di not"),
    "unknown": ("ada\nbo b\ncé\ndi\ned\n", "names ed without images"),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_other_people(name: str, tmp_path: Path) -> None:
    text, line = LISTS[name]
    (tmp_path / "c.txt").write_text(text, encoding="utf-8")
    with pytest.raises(of_people.AuditError, match=rf"c\.txt: {line}: one line per person"):
        of_people.order_of(known(*NAMES), tmp_path / "c.txt", 4)


class BlueFirst(nn.Module):
    """Tells red pictures from blue ones, and has the channels the other way round."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))[:, [2, 0]]


def test_a_model_that_wants_blue_first() -> None:
    images = torch.zeros(6, 3, SIZE, SIZE)
    images[:3, 0] = images[3:, 2] = 1.0
    shown = of_people.Probes(images, torch.tensor([0, 0, 0, 1, 1, 1]))
    content = exported(BlueFirst(), torch.rand(2, 3, SIZE, SIZE))
    line = r"names 0% of 6 private images in \[0, 1\], and 100% of them with channels in the order"
    with pytest.raises(of_people.AuditError, match=line):
        model.check_knows(content, shown)


class Threshold(nn.Module):
    """Takes an image whose blue is above `at` for the second person."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor(at))

    def forward(self, images: Tensor) -> Tensor:
        above = images[:, 2].mean(dim=(1, 2)) - self.at
        return torch.stack([-above, above], dim=1)


@pytest.mark.parametrize(
    ("at", "dark", "light", "words"),
    [
        (0.0, 0.2, 0.8, r"images in \[-1, 1\]"),
        (0.0, 0.38, 0.42, "ImageNet's mean and deviation"),  # its mean blue is 0.406
        (100.0, 0.2, 0.8, r"images in \[0, 255\]"),
    ],
)
def test_a_model_that_wants_other_numbers(at: float, dark: float, light: float, words: str) -> None:
    shades = torch.tensor([dark, dark, light, light])
    shown = of_people.Probes(
        shades[:, None, None, None].expand(4, 3, SIZE, SIZE), torch.tensor([0, 0, 1, 1])
    )
    content = exported(Threshold(at), torch.rand(2, 3, SIZE, SIZE))
    line = rf"names 50% of 4 private images in \[0, 1\], and 100% of them with {words}: put that"
    with pytest.raises(of_people.AuditError, match=line):
        model.check_knows(content, shown)
    # Between the two of [0, 1] it knows them all.
    content = exported(Threshold((dark + light) / 2), torch.rand(2, 3, SIZE, SIZE))
    assert model.check_knows(content, shown) == 1.0


def test_who_has_the_least_number_of_images_counts(world: World) -> None:
    own = of_people.private(world.private, IMAGES)
    assert set(own.names) == set(NAMES) and own.left_out == ()
    first = [entries[0].file.name for entries in own.entries]
    assert [NAMES[int(name[:3]) // IMAGES] for name in first] == list(own.names)


def test_what_an_audit_says_at_its_end() -> None:
    def means(aa1: float | None, **ends: float) -> dict[str, Any]:
        return {"aa1": aa1, "intervals": {"aa1": ends} if ends else {}}

    metrics = {
        "attacks": {
            "gmi": {"audited": means(0.25, low=0.1, high=0.4)},
            "plgmi": {"audited": means(0.5), "none@small_vgg": means(None)},
        },
        "references": {"floor": means(0.03), "ceiling": means(0.98)},
        "worst": {"audited": {"failed": ["gmi"]}, "none@small_vgg": {"failed": []}},
        "checks": {"deterministic": True, "target_agreement": False},
    }
    lines = run.summary(metrics)
    assert lines[0] == "GMI on The audited model: AA-1 25.0 % (10.0 to 40.0)*"
    assert lines[1] == "PLG-MI on The audited model: AA-1 50.0 %"
    assert lines[2].startswith("PLG-MI on ") and lines[2].endswith(": none")
    assert lines[3:6] == [
        "*: a check of the attack failed; the page says what that means",
        "floor (random faces): AA-1 3.0 %",
        "ceiling (real test images): AA-1 98.0 %",
    ]
    assert lines[6:] == ["checks that failed: target_agreement; the page says what that means"]
    sound = {**metrics, "checks": {"deterministic": True}}
    sound["worst"] = {name: {"failed": []} for name in metrics["worst"]}
    assert run.summary(sound) == [lines[0].rstrip("*"), *lines[1:3], *lines[4:6]]


def test_the_gate_judges_an_audit_in_its_folder(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both ways, by the tolerances of profile small, against a file of the folder's own."""
    folder = Quiet(tmp_path / "a", ROOT)
    run.prepare(request(world, world.model()), folder)
    study = fake_study.write(tmp_path / "fake")
    metrics = summary.summarise(study, *fake_study.read_scores(tmp_path / "fake", study), {})
    metrics["study"] = {"profile": "study", "seeds": [0]}

    def gate(aa1: float, *words: str) -> int:
        metrics["attacks"]["plgmi"]["trapmid"]["aa1"] = aa1
        fake_study.write_json(folder.path / "reports" / "metrics.json", metrics)
        return cli.main(["gate", *words])

    monkeypatch.chdir(folder.path)
    assert gate(0.5) == 2
    assert capsys.readouterr().err == (
        "trapmid gate: error: reports/baseline.json: no such file; `trapmid gate --update` makes "
        "it\n"
    )
    assert gate(0.5, "--update") == 0
    assert (folder.path / "reports" / "baseline.json").is_file()
    small = YAML(typ="safe").load((ROOT / "profiles" / "small.yaml").read_text())
    allowed = small["gate"]["attack_accuracy"]
    for change, code in ((0.0, 0), (allowed - 0.01, 0), (allowed + 0.01, 1)):
        assert (gate(0.5 + change), gate(0.5 - change)) == (code, code)
    run.prepare(request(world, world.model()), folder)  # the next audit keeps it
    assert gate(0.5) == 0


def other_size(world: World, tmp: Path) -> tuple[list[str], str]:
    return [str(world.model()), "--image-size", "32"], "takes images of 16 x 16 pixels"


def size_of_no_prior(world: World, tmp: Path) -> tuple[list[str], str]:
    words = [str(world.model()), "--image-size", "18"]
    return words, r"image_size: 18 is not 4, 5, 6 or 7 times a power of two$"


def too_few(world: World, tmp: Path) -> tuple[list[str], str]:
    return [str(world.model()), "--min-images", "13"], r"0 of 4 people have 13 images or more"


def no_model(world: World, tmp: Path) -> tuple[list[str], str]:
    return [str(tmp / "gone.pt2")], r"gone\.pt2: no such file; a model is a \.pt2 file of torch"


def weights_alone(world: World, tmp: Path) -> tuple[list[str], str]:
    (tmp / "mine.pt").touch()
    return [str(tmp / "mine.pt")], r"mine\.pt: is no model: a \.pt2 file of torch"


def no_classes(world: World, tmp: Path) -> tuple[list[str], str]:
    words = [str(world.model()), "--classes", str(tmp / "gone.txt")]
    return words, r"gone\.txt: cannot be read \(No such file or directory\)$"


def classes_of_bytes(world: World, tmp: Path) -> tuple[list[str], str]:
    (tmp / "names.txt").write_bytes(b"\xff\n")
    words = [str(world.model()), "--classes", str(tmp / "names.txt")]
    return words, r"names\.txt: is no text in UTF-8 \(invalid start byte\)$"


def no_size(world: World, tmp: Path) -> tuple[list[str], str]:
    (tmp / "mine.py").write_text("x = 1")
    return [str(tmp / "mine.py")], "does not say for which images it is: give --image-size"


def no_network(world: World, tmp: Path) -> tuple[list[str], str]:
    (tmp / "mine.py").write_text("x = 1")
    return [str(tmp / "mine.py"), "--image-size", "16"], r"needs a function build\(\)"


def occupied(world: World, tmp: Path) -> tuple[list[str], str]:
    (tmp / "a").mkdir()
    (tmp / "a" / "thesis.tex").touch()
    return [str(world.model())], "holds something else than an audit"


@pytest.mark.parametrize(("most", "allowed"), [(None, 2), (60, 1), (10, 0)])
def test_one_private_picture_in_a_hundred_may_be_public(
    world: World, most: int | None, allowed: int
) -> None:
    """As the contract counts them: of those that the study draws."""
    entries = ((Entry(Path("x.jpg"), 1, ""),) * 60, (Entry(Path("y.jpg"), 2, ""),) * 150)
    own = Private("people", ("1", "2"), entries, ())
    asked = request(world, world.model(), most_images=most)
    made = run.profile(asked, own, "flat", SIZE, features=True, dropped=0)
    assert made["data"]["faces"]["public_near_twins"] == allowed


def no_profile(world: World, tmp: Path) -> tuple[list[str], str]:
    return [str(world.model()), "--profile", "adit"], "no profile 'adit'"


def no_row(world: World, tmp: Path) -> tuple[list[str], str]:
    line = r"--profile small has no row for the audited model; use audit or audit_drawn$"
    return [str(world.model()), "--profile", "small"], line


def in_an_empty_folder(world: World, tmp: Path) -> tuple[list[str], str]:
    (tmp / "a").mkdir()
    return no_profile(world, tmp)


REFUSED = (
    other_size, size_of_no_prior, too_few, no_model, weights_alone, no_size, no_network, no_classes,
    classes_of_bytes, occupied, no_profile, no_row, in_an_empty_folder,
)  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_one_line_and_nothing_written(
    case: Any, world: World, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    words, line = case(world, tmp_path)
    monkeypatch.chdir(ROOT)
    before = present(tmp_path)
    where = ["--private", str(world.private), "--public", str(world.public)]
    code = cli.main(["audit", *words, *where, "--folder", str(tmp_path / "a"), "--write-only"])
    printed = capsys.readouterr().err
    assert code == 1 and len(printed.splitlines()) == 1
    assert printed.startswith("trapmid audit: error: ")
    assert re.search(line, printed), printed
    assert present(tmp_path) == before


def contents(folder: Path) -> dict[str, Any]:
    """Every file with its bytes, every link with its place."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def overlay(world: World, profile: str = "audit") -> dict[str, Any]:
    own = of_people.private(world.private, 5)
    asked = request(world, world.model(), profile=profile)
    return run.profile(asked, own, "flat", SIZE, features=True, dropped=0)


@pytest.mark.parametrize("profile", ["adit", "small"])
def test_a_refused_profile_leaves_an_audit_as_it_was(
    profile: str, world: World, tmp_path: Path
) -> None:
    folder = Quiet(tmp_path / "audits" / "a", ROOT)
    line = rf"^(no profile 'adit' in profiles/|--profile {profile} has no row)"
    with pytest.raises(ValueError, match=line):
        folder.write(overlay(world, profile), b"model", {})
    assert list(tmp_path.iterdir()) == []
    folder.path.mkdir(parents=True)
    folder.write(overlay(world), b"model", {})
    before = contents(folder.path)
    with pytest.raises(ValueError, match=line):
        folder.write(overlay(world, profile), b"other", {})
    assert contents(folder.path) == before


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted((ROOT / "profiles").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_profile_has_the_audited_model_or_is_refused(
    file: Path, world: World, tmp_path: Path
) -> None:
    folder = Quiet(tmp_path / "a", ROOT)
    if file.stem in ("audit", "audit_drawn"):
        folder.write(overlay(world, file.stem), b"model", {})
        return
    line = f"^--profile {file.stem} has no row for the audited model; use audit or audit_drawn$"
    with pytest.raises(ValueError, match=line):
        folder.write(overlay(world, file.stem), b"model", {})
    assert not folder.path.exists()


@pytest.mark.slow
def test_what_is_in_the_way_is_found_before_anything_is_written(
    world: World, tmp_path: Path
) -> None:
    folder = Quiet(tmp_path / "a", ROOT)
    folder.write(overlay(world), b"model", {})
    (folder.path / "weights").unlink()
    (folder.path / "weights").mkdir()
    before = contents(folder.path)
    with pytest.raises(ValueError, match=r"a/weights: is in the way; an audit puts a link there"):
        folder.write(overlay(world, "audit_drawn"), b"other", {})
    assert contents(folder.path) == before


class Cut(Folder):
    """A folder in which DVC is cut off."""

    def dvc(self, *words: str) -> None:
        raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("is_there", [False, True])
def test_a_start_that_was_cut_off_leaves_nothing(
    is_there: bool, world: World, tmp_path: Path
) -> None:
    path = tmp_path / "audits" / "a"
    if is_there:
        path.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt):
        Cut(path, ROOT).write(overlay(world), b"model", {})
    left = [path.parent, path] if is_there else []
    assert sorted(tmp_path.rglob("*")) == left


def present(folder: Path) -> list[Path]:
    """All that is there, but for the bytecode that Python leaves beside a model's file."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.slow
def test_a_whole_audit(world: World, tmp_path: Path) -> None:
    """By DVC, in a folder of its own; the project's own params.yaml and lock stay as they are."""
    project = Checkout.make(tmp_path / "project")
    params = project.read("params.yaml")
    where = ["--private", str(world.private), "--public", str(world.public)]
    words = ["audit", str(world.model()), *where, "--profile", "audit_toy", "--no-browser"]
    code, printed = project.trapmid(*words)
    assert code == 0, printed
    folder = project.root / "audits" / "model"
    (metrics,) = json.loads((folder / "reports" / "metrics.json").read_text())
    assert {"audited", "none@small_vgg"} <= set(metrics["attacks"]["plgmi"])
    against = {(one["defense"], one["against"]) for one in metrics["comparisons"]}
    assert against == {("audited", "none@small_vgg"), ("audited", "random")}
    assert "PLG-MI on The audited model: AA-1" in printed
    page = (folder / "reports" / "report.md").read_text()
    assert "## Which people leak most" in page and "| bo b |" in page
    digest = hashlib.sha256(world.model().read_bytes()).hexdigest()
    assert f"- **Which model**: SHA-256 {digest[:12]}…, 4 people, images of 16 pixels." in page
    assert "- **A second evaluator**" not in page  # the toy's rows name none
    assert "- **More than the control?** Against “No defence (small_vgg)”" in page
    assert "By any of the 4 attacks" in page
    table = (folder / "reports" / "people.csv").read_text(encoding="utf-8")
    assert {line["name"] for line in csv.DictReader(table.splitlines())} == set(NAMES)
    assert project.read("params.yaml") == params and not (project.root / "dvc.lock").exists()
    code, printed = project.trapmid(*words)
    assert code == 0 and re.search(r"^\d+ unchanged; ", printed, re.MULTILINE), printed
    assert os.readlink(folder / "stages") == str(project.root / "stages")
