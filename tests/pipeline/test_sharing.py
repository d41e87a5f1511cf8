"""docs/sharing.md, followed: what one machine computed, another pulls from a remote."""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
from pathlib import Path

import graph
import pytest
import torch
from checkout import ROOT, Checkout

from smooth import picture
from trapmid.artifacts import classifiers
from trapmid.runtime import Runtime

TARGET = "models/targets/trapmid-0/model.pt"


def test_the_trained_targets_of_the_default_study_have_names(tmp_path):
    """And a description, a type, labels."""
    from dvc.repo import Repo

    made = Checkout.make(tmp_path / "copy", "small")
    targets = [s for s in graph.load(made.root).values() if s.kind == "train_target"]
    with Repo(str(made.root)) as repo:
        named = repo.artifacts.read()["dvc.yaml"]
    assert {f"{name}-0": artifact.path for name, artifact in named.items()} == {
        stage.row: stage.outs[0] for stage in targets
    }
    for artifact in named.values():
        assert artifact.type == "model" and artifact.desc and artifact.labels


@pytest.mark.slow
def test_a_clone_pulls_and_runs_nothing(study, tmp_path):
    """The words are those of docs/sharing.md; the folder and the address are this test's."""
    store = tmp_path / "store"
    study.dvc("remote", "add", "--default", "store", str(store))
    study.commit("results, and where they are")
    study.dvc("push")
    study.git("tag", "--annotate", "trapmid@v1.0.0", "--message", "Trap-MID on drawn faces")
    origin = str(tmp_path / "origin.git")
    study.git("init", "--quiet", "--bare", origin)
    study.git("remote", "add", "origin", origin)
    study.git("push", "--quiet", "origin", "HEAD")
    study.git("push", "--quiet", "origin", "trapmid@v1.0.0")
    original = study.read(TARGET)

    study.git("clone", "--quiet", origin, str(tmp_path / "clone"))
    clone = Checkout(tmp_path / "clone")
    assert not (clone.root / TARGET).exists()
    clone.dvc("pull", TARGET)
    assert clone.read(TARGET) == original
    found = [path for path in (clone.root / "models").rglob("*") if path.is_file()]
    assert {path.name for path in found} == {"README.md", "model.pt"} and len(found) == 2
    clone.dvc("pull", "train_target@none-0")
    assert clone.read("models/targets/none-0/model.pt") == study.read(
        "models/targets/none-0/model.pt"
    )
    clone.dvc("pull")
    assert clone.changed() == set()
    assert clone.repro() == []

    elsewhere = Checkout(tmp_path / "elsewhere")
    elsewhere.root.mkdir()
    elsewhere.dvc("get", origin, TARGET, "--out", "got.pt")
    elsewhere.dvc("artifacts", "get", origin, "trapmid", "--out", "named.pt")
    assert elsewhere.read("got.pt") == elsewhere.read("named.pt") == original
    rt = Runtime(device=torch.device("cpu"), seed=0, precision="fp32")
    assert classifiers.load(elsewhere.root / "got.pt", rt).model.num_classes == 4

    study.edit("params.yaml", "beta: 0.3", "beta: 0.1")
    study.dvc("exp", "save", "--name", "fuzzy-cat")
    study.dvc("exp", "push", "origin", "fuzzy-cat")
    clone.dvc("exp", "pull", "origin", "fuzzy-cat")
    assert "fuzzy-cat" in clone.dvc("exp", "list", "--name-only")


def files(folder: Path) -> dict[str, bytes]:
    """All files under `folder`, by path."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.slow
def test_raw_data_and_given_weights_go_to_a_clone(tmp_path):
    """The words are those of docs/sharing.md; files, folder and address are this test's."""
    made = Checkout.make(tmp_path / "copy")
    archive = tmp_path / "img_align_celeba.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for number in range(1, 4):
            content = io.BytesIO()
            picture(178, 218, number).save(content, "JPEG")
            packed.writestr(f"img_align_celeba/{number:06d}.jpg", content.getvalue())
        packed.writestr("identity_CelebA.txt", "".join(f"00000{n}.jpg 1\n" for n in (1, 2, 3)))
    code, printed = made.trapmid("data", "celeba", "--from", str(archive))
    assert code == 0, printed
    made.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    weights = made.root / "models/external/vgg16"
    weights.mkdir(parents=True)
    (weights / "model.pt").write_bytes(b"weights")
    made.dvc("add", "data/external/celeba")
    made.dvc("add", "models/external/vgg16")
    made.git("add", ".dvc", "data/external/celeba.dvc", "models/external/vgg16.dvc")
    made.git("commit", "--quiet", "--message", "CelebA is on the remote")
    made.dvc("push")
    made.git("clone", "--quiet", str(made.root), str(tmp_path / "clone"))
    clone = Checkout(tmp_path / "clone")
    assert not (clone.root / "data/external/celeba").exists()
    clone.dvc("pull", "data/external/celeba")
    assert files(clone.root / "data/external") == files(made.root / "data/external")
    assert len(files(clone.root / "data/external")) == 5  # three pictures, their list, the digest
    assert not (clone.root / weights.relative_to(made.root)).exists()
    clone.dvc("pull", "models/external/vgg16")
    assert files(clone.root / "models/external") == files(made.root / "models/external")


@pytest.mark.slow
def test_clones_of_one_machine_share_a_cache(studied, study, tmp_path):
    """The second one restores; and links, where the file system knows them, hold the same bytes."""
    study.git("clone", "--quiet", str(study.root), str(tmp_path / "clone"))
    clone = Checkout(tmp_path / "clone")
    clone.dvc("cache", "dir", "--local", str(study.root / ".dvc" / "cache"))
    clone.dvc("config", "--local", "cache.type", "hardlink,copy")
    (clone.root / "dvc.lock").write_bytes(studied.read("dvc.lock"))
    clone.dvc("checkout")
    clone.dvc("checkout", "--relink")
    linked = clone.root / TARGET
    assert linked.read_bytes() == studied.read(TARGET)
    assert linked.stat().st_nlink > 1


def damage(file: Path) -> None:
    """Flips a bit where nothing tells DVC: the time and the rights stay."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow
def test_a_damaged_object_of_the_cache_is_found_and_made_again(study):
    """The words are those of docs/sharing.md; what it says of DVC is true of DVC."""
    whole = study.read(TARGET)
    name = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    cached = study.root / ".dvc/cache/files/md5" / name[:2] / name[2:]
    damage(cached)
    (study.root / TARGET).unlink()
    assert study.repro() == []  # restored and believed
    assert study.read(TARGET) == cached.read_bytes() != whole
    assert f"{TARGET}: damaged, or not written" in study.inside("invert plgmi-trapmid-0")
    study.dvc("repro", "--force", "--single-item", "train_target@trapmid-0")
    assert cached.read_bytes() != whole

    text = (ROOT / "docs/sharing.md").read_text(encoding="utf-8")
    lines = re.search(r"## A damaged file.*?```sh\n(.*?)```", text, re.S)[1]
    process = study.start("sh", "-c", lines)
    printed = process.communicate()[0].splitlines()
    assert printed[0] == f"./{name[:2]}/{name[2:]}: FAILED" and "FAILED" not in printed[1]
    cached.unlink()
    (study.root / TARGET).unlink()
    ran = study.repro()  # and its times are in the report
    assert ran[0] == "train_target@trapmid-0" and set(ran[1:]) <= {"report", "track"}
    assert study.read(TARGET) == cached.read_bytes() == whole
