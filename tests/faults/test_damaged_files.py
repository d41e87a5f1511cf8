"""Every file of a study, damaged in every way: the stage that reads it says so in one line.

Part of `make faults`. A stage may also not notice, if what it makes is equal to what it made of the
undamaged file: byte by byte.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import Checkout

pytestmark = [pytest.mark.slow, pytest.mark.faults]

PRIVATE, PUBLIC = "data/prepared/toy/private.pt", "data/prepared/toy/public.pt"
MANIFEST = "data/prepared/toy/manifest.csv"
EVALUATOR, NONE = "models/evaluators/evaluator/model.pt", "models/targets/none-0/model.pt"
TRAPPED = "models/targets/trapmid-0/model.pt"

SCORES = "reports/scores/targets/trapmid-0.json"
BREACH = "toy breaks its contract"

TENSORS = [
    ("validate_data toy", PRIVATE),
    ("validate_data toy", PUBLIC),
    ("train_target evaluators evaluator", PRIVATE),
    ("train_target targets trapmid-0", PRIVATE),
    ("train_prior public_priors gmi", PUBLIC),
    ("train_prior guided_priors plgmi-none-0", NONE),
    ("train_surrogate finetuned-trapmid-0", TRAPPED),
    ("leak_signatures trapmid-0", TRAPPED),
    ("leak_signatures trapmid-0", PRIVATE),
    ("estimate_signatures trapmid-0", "models/leaks/trapmid-0.pt"),
    ("invert gmi-trapmid-0", "models/priors/public/gmi/prior.pt"),
    ("invert plgmi-none-0", "models/priors/guided/plgmi-none-0/prior.pt"),
    ("invert lomma-trapmid-0", "models/surrogates/students-trapmid-0/model.pt"),
    ("invert plus_plus-trapmid-0", "models/signatures/trapmid-0.pt"),
    ("evaluate_evaluator evaluator", EVALUATOR),
    ("evaluate_target trapmid-0", TRAPPED),
    ("evaluate_target trapmid-0", PUBLIC),
    ("evaluate plgmi-none-0", "data/reconstructions/plgmi-none-0.pt"),
    ("evaluate plgmi-none-0", "data/features/evaluators/evaluator.pt"),
    ("evaluate plgmi-trapmid-0", "data/features/targets/trapmid-0.pt"),
    ("report", "data/scored/plgmi-none-0.pt"),
    ("report", "data/reconstructions/plgmi-trapmid-0.pt"),
]
"""A stage, and a file of tensors that it reads."""

TEXTS = [
    ("validate_data toy", MANIFEST),
    ("validate_data toy", "data/prepared/toy/sources.json"),
    ("evaluate_target trapmid-0", MANIFEST),
    ("report", "reports/scores/attack_runs/plgmi-none-0.json"),
    ("report", "reports/scores/targets/trapmid-0.json"),
    ("report", "reports/data/toy.json"),
    ("train_target targets none-0", "weights/random"),
    ("invert gmi-trapmid-0", "weights/none"),
]
"""A stage, and a text that it reads: DVC sees its changes, the stage whether it can be read."""


def gone(file: Path) -> None:
    file.unlink()


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def of(change: Callable[[bytes, random.Random], bytes]) -> Callable[[Path], None]:
    """A damage of the content; its place is another one for every file, and the same every time."""

    def damage(file: Path) -> None:
        content = file.read_bytes()
        place = random.Random(f"{change.__name__} {file.name} {len(content)}")
        file.write_bytes(change(content, place))

    return damage


def empty(content: bytes, place: random.Random) -> bytes:
    return b""


def half(content: bytes, place: random.Random) -> bytes:
    return content[: len(content) // 2]


def last_byte(content: bytes, place: random.Random) -> bytes:
    return content[:-1]


def page(content: bytes, place: random.Random) -> bytes:
    return b"<!DOCTYPE html><title>Sign in</title>"


def flipped(content: bytes, place: random.Random) -> bytes:
    at = place.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << place.randrange(8)]) + content[at + 1 :]


def zeros(content: bytes, place: random.Random) -> bytes:
    size = min(4096, len(content) // 4)
    at = place.randrange(len(content) - size)
    return content[:at] + bytes(size) + content[at + size :]


def noise(content: bytes, place: random.Random) -> bytes:
    return place.randbytes(len(content))


COARSE = {"gone": gone, "folder": folder} | {
    change.__name__: of(change) for change in (empty, half, page)
}
FINE = {change.__name__: of(change) for change in (last_byte, flipped, zeros, noise)}


@pytest.fixture(scope="module")
def worn(studied: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One copy of the toy study, which every test of this module leaves as it was."""
    return studied.copy(tmp_path_factory.mktemp("faults") / "study")


@pytest.fixture
def damaged(worn: Checkout) -> Iterator[Callable[[str, Callable[[Path], None]], None]]:
    """Damages a file of `worn`; afterwards all of it is as it was."""
    whole = results(worn)

    def damage(name: str, change: Callable[[Path], None]) -> None:
        whole.setdefault(name, (worn.root / name).read_bytes())  # weights/ is no result
        change(worn.root / name)

    yield damage
    for name, content in whole.items():
        file = worn.root / name
        if file.is_dir():
            shutil.rmtree(file)
        if not file.exists() or file.read_bytes() != content:
            file.write_bytes(content)


def results(study: Checkout) -> dict[str, bytes]:
    """Everything that stages make, by path."""
    return {
        file.relative_to(study.root).as_posix(): file.read_bytes()
        for part in ("data", "models", "reports")
        for file in sorted((study.root / part).rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize(
    ("stage", "file", "damage"),
    [(*pair, name) for pair in TENSORS for name in (*COARSE, *FINE)]
    + [(*pair, name) for pair in TEXTS for name in COARSE],
)
def test_a_damaged_file_is_named(
    worn: Checkout,
    damaged: Callable[[str, Callable[[Path], None]], None],
    stage: str,
    file: str,
    damage: str,
) -> None:
    before = results(worn)
    damaged(file, (COARSE | FINE)[damage])
    after_damage = results(worn)
    message = worn.inside(stage)
    made = results(worn)
    if message is None:  # not noticed: then it must not matter, or a check must say so
        failed, already = (set(json.loads(r[SCORES])[0]["failed_checks"]) for r in (made, before))
        assert {**made, file: before.get(file)} == {
            **before,
            file: before.get(file),
        } or failed - already
        return
    assert message.startswith(f"{stage.split()[0]}: error: ")
    if BREACH not in message:  # the contract has a line for each expectation
        assert Path(file).name in message and "\n" not in message
    # Nothing half-written and nothing replaced; an older result of the stage may be gone.
    assert made.items() <= after_damage.items()
