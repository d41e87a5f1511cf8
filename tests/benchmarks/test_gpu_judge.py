"""The verdict on reconstructions, with colours instead of faces: each person has one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gpu import judge
from gpu.faces import Faces
from gpu.judge import judge_folder, real_vectors
from torch import Tensor

PEOPLE, EACH = 5, 6
COLOURS = torch.tensor(
    [[200, 20, 20], [20, 200, 20], [20, 20, 200], [200, 200, 20], [20, 200, 200]]
)


def images(labels: Tensor, seed: int) -> Tensor:
    """(N, 3, 8, 8) uint8: the colours of these people, with noise."""
    noise = torch.randn(len(labels), 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return (COLOURS[labels][:, :, None, None] + 10 * noise).clamp(0, 255).to(torch.uint8)


def colour(shown: Tensor) -> Tensor:
    assert shown.dtype == torch.float32 and float(shown.max()) <= 1
    return shown.mean(dim=(2, 3))


@pytest.fixture
def people() -> Faces:
    labels = torch.arange(PEOPLE).repeat_interleave(EACH)
    strangers = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    return Faces(images(labels, 0), labels, images(labels, 1), labels, strangers, torch.arange(4))


def save(file: Path, shown: Tensor, labels: Tensor) -> None:
    about = {"device": "some GPU", "torch": "2", "code": "abc", "toy": True}
    torch.save({"images": shown, "labels": labels, "attack": "gmi", "target": "none"} | about, file)


def test_the_right_people_are_accepted_and_others_refused(people: Faces, tmp_path: Path) -> None:
    labels = torch.arange(PEOPLE).repeat_interleave(4)
    # Two of four images of every person show that person; the other two show the next one.
    shown = labels + (torch.arange(len(labels)) % 4 >= 2).long()
    came = tmp_path / "came"
    came.mkdir()
    save(came / "gmi-none.pt", images(shown % PEOPLE, 2), labels)
    torch.save({}, came / "gmi-none-scores.pt")
    real = real_vectors(people, colour, tmp_path / "vectors.pt")
    judge_folder(came, tmp_path / "out", people, colour, real)
    (file,) = (tmp_path / "out").glob("*.json")
    rows = {one["name"]: one for one in json.loads(file.read_text("utf-8"))}
    for name in ("accepted", "nearest template", "head AA-1"):
        found, real = rows[f"judge/gmi-none: {name}"], rows[f"judge/real: {name}"]
        assert found["value"] == 0.5 and real["value"] == 1.0
        assert found["low"] < 0.5 < found["high"] and found["people"] == PEOPLE
        assert (found["device"], found["code"]) == ("some GPU", "abc")
    assert rows["judge/gmi-none: head AA-5"]["value"] == 1.0  # of five people
    # The threshold: 1 % of the impostors' distances, by NumPy
    seen, learnt = (
        colour(people.test_images.float() / 255),
        colour(people.train_images.float() / 255),
    )
    means = np.stack([learnt[people.train_labels == p].mean(0).numpy() for p in range(PEOPLE)])
    means *= learnt.norm(dim=1).mean().item() / np.linalg.norm(means, axis=1, keepdims=True)
    distances = np.linalg.norm(seen.numpy()[:, None] - means, axis=2)
    others = np.sort(distances[people.test_labels.numpy()[:, None] != np.arange(PEOPLE)])
    limit = rows["judge/gmi-none: accepted"]["threshold"]
    assert limit == pytest.approx(others[int(0.01 * len(others))], rel=1e-5)


def test_no_reconstructions_are_one_line(people: Faces, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of reconstructions"):
        judge_folder(tmp_path, tmp_path / "out", people, colour, (torch.empty(0), torch.empty(0)))
    assert not (tmp_path / "out").exists()


def test_embeddings_are_kept_for_the_same_images_and_code_alone(
    people: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(shown: Tensor) -> Tensor:
        asked.append(len(shown))
        return colour(shown)

    file = tmp_path / "vectors.pt"
    first = real_vectors(people, counted, file)
    assert torch.equal(first[1], colour(people.test_images.float() / 255))
    again = real_vectors(people, counted, file)
    assert all(map(torch.equal, first, again)) and sum(asked) == 2 * PEOPLE * EACH
    other = people._replace(test_images=people.test_images.flip(0))
    assert torch.equal(real_vectors(other, counted, file)[1], first[1].flip(0))
    # What cuts the chip of an image is code, too: old templates do not judge new embeddings.
    assert len(asked) == 4
    monkeypatch.setattr(judge, "code_digest", lambda: "another")
    real_vectors(other, counted, file)
    assert len(asked) == 6
    # The same pixels, one more of them for training
    last = other.test_images[:1]
    moved = other._replace(
        train_images=torch.cat([other.train_images, last]), test_images=other.test_images[1:]
    )
    assert len(real_vectors(moved, counted, file)[1]) == PEOPLE * EACH - 1
    assert [one.name for one in tmp_path.iterdir()] == ["vectors.pt"]
