"""Files that are whole, equal when their content is, and refused when they belong elsewhere."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from toy import same_state
from trapmid.artifacts import checkpoints
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.nets import dcgan
from trapmid.targets import small_vgg


def content() -> dict[str, Any]:
    base = torch.arange(12.0).view(3, 4)
    return {
        "parameter": nn.Parameter(base),
        "transposed": base.T,
        "slice": base[1],
        "nested": {"list": [1, 2.5, None, True], "tuple": (base, "word"), 3: "three"},
        "words": ["".join(["wo", "rd"]), "word"],
    }


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.pt"
    checkpoints.save(path, content())
    found, wanted = checkpoints.load(path), content()
    for name in ("parameter", "transposed", "slice"):
        assert torch.equal(found[name], wanted[name])
    assert found["nested"]["list"] == [1, 2.5, None, True]
    assert found["nested"]["tuple"][1] == "word" and found["nested"][3] == "three"
    assert sorted(p.name for p in path.parent.iterdir()) == ["x.pt"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("a.pt", "long name.pt", "c.pt"))
    checkpoints.save(first, content())
    other = content()
    other["slice"] = other["slice"].clone()  # shares no storage now
    other["words"] = ["word"] * 2  # one object now
    other["nested"] = OrderedDict(other["nested"])
    checkpoints.save(second, other)
    assert first.read_bytes() == second.read_bytes()
    checkpoints.save(third, checkpoints.load(first))
    assert first.read_bytes() == third.read_bytes()


def test_a_slice_does_not_save_its_whole_storage(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "x.pt", {"x": torch.zeros(1_000_000)[:2]})
    assert (tmp_path / "x.pt").stat().st_size < 10_000


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_one_line(tmp_path: Path, share: float) -> None:
    path = tmp_path / "x.pt"
    checkpoints.save(path, content())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"x\.pt: not a checkpoint") as caught:
        checkpoints.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["randm\n", "hello, world\n", "\x80", "PK\x03\x04", "]q"])
def test_a_foreign_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.pt"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"x\.pt: not a checkpoint") as caught:
        checkpoints.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_file_without_a_dictionary(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"x\.pt: no such file; `dvc repro` makes it"):
        checkpoints.load(tmp_path / "x.pt")
    torch.save([1, 2], tmp_path / "y.pt")
    with pytest.raises(CheckpointError, match=r"y\.pt: must hold a dictionary, holds list"):
        checkpoints.load(tmp_path / "y.pt")


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"x": io.StringIO}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"x\.pt: not a checkpoint \(UnpicklingError"):
        checkpoints.load(tmp_path / "x.pt")


@pytest.mark.parametrize("writer", ["save", "write_atomically"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(b"old")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    content: Any = {"x": 1} if writer == "save" else b"new"
    with pytest.raises(OSError, match="disk full"):
        getattr(checkpoints, writer)(path, content)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_saved_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="pickle"):
        checkpoints.save(tmp_path / "x.pt", {"x": lambda: None})
    assert list(tmp_path.iterdir()) == []


def test_weights_load_strictly() -> None:
    source, model = nn.Linear(2, 3), nn.Linear(2, 3)
    checkpoints.load_strictly(Path("x.pt"), model, source.state_dict())
    assert same_state(model.state_dict(), source.state_dict())
    for state in ({"weight": source.weight}, {**source.state_dict(), "more": source.bias}):
        with pytest.raises(CheckpointError, match=r"x\.pt: does not fit Linear: ") as caught:
            checkpoints.load_strictly(Path("x.pt"), model, state)
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="size mismatch"):
        checkpoints.load_strictly(Path("x.pt"), model, nn.Linear(3, 3).state_dict())


def test_the_digest_follows_the_source_of_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_vgg.Network(2, 16)
    critic = nn.Sequential(dcgan.Critic(8, 2))
    digests = checkpoints.code_digest(model), checkpoints.code_digest(critic)
    assert digests[0] != digests[1]
    assert checkpoints.code_digest(small_vgg.Network(5, 24)) == digests[0]
    checkpoints.check_code(Path("x.pt"), {"code": digests[0]}, model)

    # What altered a network in place decides what it computes, too.
    assert checkpoints.code_digest(model, critic[0]) != digests[0]
    monkeypatch.setattr(checkpoints.sources, "digest_of_classes", lambda classes: "edited")
    with pytest.raises(
        CheckpointError, match=r"x\.pt: made by another version of trapmid\.targets"
    ):
        checkpoints.check_code(Path("x.pt"), {"code": digests[0]}, model)
    with pytest.raises(CheckpointError, match="`dvc repro` renews it"):
        checkpoints.check_code(Path("x.pt"), {}, model)
