"""Files that are whole, equal when their content is, and refused when they belong elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import random
import resource
import stat
import zipfile
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


def layer(path: Path) -> bytes:
    """A file of some 70 kB with every kind of content, and its bytes."""
    torch.manual_seed(0)
    checkpoints.save(path, content() | {"weight": torch.randn(128, 128), "count": torch.arange(99)})
    return path.read_bytes()


def test_the_file_ends_with_the_digest_of_the_rest(tmp_path: Path) -> None:
    whole = layer(tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        comment = archive.comment
        assert archive.testzip() is None
    rest = whole[: -len(comment) - 2]
    assert comment.decode() == f"trapmid sha256 {hashlib.sha256(rest).hexdigest()}"


def test_others_read_it_without_this_project(tmp_path: Path) -> None:
    layer(tmp_path / "x.pt")
    for mapped in (False, True):
        found = torch.load(tmp_path / "x.pt", weights_only=True, mmap=mapped)
        assert found.keys() == checkpoints.load(tmp_path / "x.pt").keys()
        torch.manual_seed(0)
        assert torch.equal(found["weight"], torch.randn(128, 128))


def refused(path: Path, damaged: bytes) -> bool:
    path.write_bytes(damaged)
    with pytest.raises(
        CheckpointError, match=r"x\.pt: damaged, .*delete it, then `dvc repro`"
    ) as e:
        checkpoints.load(path)
    return "\n" not in str(e.value)


def test_no_flipped_bit_is_believed(tmp_path: Path) -> None:
    """torch.load alone believes most of them: it looks at no checksum of a tensor."""
    path, chance, believed = tmp_path / "x.pt", random.Random(0), 0
    whole = layer(path)
    ending = range(8 * len(whole) - 8 * 81, 8 * len(whole), 7)  # the digest itself, too
    for bit in [*chance.sample(range(8 * len(whole)), 200), *ending]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        assert refused(path, bytes(damaged))
        with contextlib.suppress(Exception):
            torch.load(path, weights_only=True)
            believed += 1
    assert believed > 100


@pytest.mark.parametrize("size", [1, 100, 4096])
def test_no_block_of_zeros_is_believed(tmp_path: Path, size: int) -> None:
    path, chance = tmp_path / "x.pt", random.Random(size)
    whole = layer(path)
    for start in chance.sample(range(len(whole) - size), 80):
        damaged = whole[:start] + bytes(size) + whole[start + size :]
        if damaged != whole:
            assert refused(path, damaged)


def test_of_anybodys_weights_a_digest_counts_where_there_is_one(tmp_path: Path) -> None:
    path, chance = tmp_path / "x.pt", random.Random(1)
    torch.save(content(), path)
    assert torch.equal(checkpoints.load_foreign(path)["slice"], content()["slice"])
    assert refused(path, path.read_bytes())  # `load` wants one
    whole = layer(path)
    wanted = checkpoints.load_foreign(path)["weight"]
    for bit in chance.sample(range(8 * (len(whole) - 81)), 100):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"x\.pt: damaged; delete it"):
            checkpoints.load_foreign(path)
    for byte in range(len(whole) - 81, len(whole)):  # a digest that is damaged, of whole weights
        damaged = bytearray(whole)
        damaged[byte] ^= 4
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            assert torch.equal(checkpoints.load_foreign(path)["weight"], wanted)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_one_line(tmp_path: Path, share: float) -> None:
    whole = layer(tmp_path / "x.pt")
    assert refused(tmp_path / "x.pt", whole[: int(share * len(whole))])


@pytest.mark.parametrize("text", ["randm\n", "hello, world\n", "\x80", "PK\x03\x04", "]q"])
def test_a_foreign_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.pt"
    assert refused(path, text.encode())
    with pytest.raises(CheckpointError, match=r"x\.pt: not a checkpoint") as caught:
        checkpoints.load_foreign(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_file_without_a_dictionary(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "y.pt")
    with pytest.raises(CheckpointError, match=r"y\.pt: must hold a dictionary, holds list"):
        checkpoints.load_foreign(tmp_path / "y.pt")
    for load in (checkpoints.load, checkpoints.load_foreign):
        with pytest.raises(CheckpointError, match=r"x\.pt: no such file; `dvc repro` makes it"):
            load(tmp_path / "x.pt")


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"x": io.StringIO}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"x\.pt: holds a _io\.StringIO; .* nothing was run"):
        checkpoints.load_foreign(tmp_path / "x.pt")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_named(value: float) -> None:
    state = {"count": torch.tensor([1]), "weight": torch.tensor([1.0, value]), "word": "nan"}
    with pytest.raises(
        CheckpointError, match=r"x\.pt: weight is not finite: the training diverged"
    ):
        checkpoints.check_finite(Path("x.pt"), state)
    checkpoints.check_finite(Path("x.pt"), state | {"weight": torch.tensor([3e38])})
    checkpoints.check_finite(Path("x.pt"), {"none": torch.empty(0), "all": torch.tensor(True)})
    for place in range(0, 1000, 37):
        long = torch.linspace(-1, 1, 1000).view(10, 100)
        long.view(-1)[place] = value
        with pytest.raises(CheckpointError, match=r"x\.pt: long is not finite"):
            checkpoints.check_finite(Path("x.pt"), {"long": long.T})
    model = nn.Linear(1, 2)
    with pytest.raises(CheckpointError, match=r"x\.pt: bias is not finite"):
        checkpoints.load_strictly(
            Path("x.pt"), model, model.state_dict() | {"bias": torch.tensor([0, value])}
        )


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


@pytest.mark.parametrize("writer", ["save", "write_atomically"])
def test_a_disk_without_space_is_one_line(tmp_path: Path, writer: str) -> None:
    """Of the system's own refusal, in the middle of a file; torch wraps it into another error."""
    path = tmp_path / "x.pt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    big: Any = {"x": torch.ones(300_000)} if writer == "save" else bytes(1_200_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"x\.pt: cannot be written: File too large$") as caught:
            getattr(checkpoints, writer)(path, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["save", "write_atomically"])
def test_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        status = os.fstat(descriptor)
        done.append("folder" if stat.S_ISDIR(status.st_mode) else f"file of {status.st_size}")
        sync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    content: Any = {"x": 1} if writer == "save" else b"new"
    getattr(checkpoints, writer)(tmp_path / "x.pt", content)
    size = (tmp_path / "x.pt").stat().st_size
    assert done == [f"file of {size}", "rename", "folder"]


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
