"""A size of images for which a network cannot be made is refused before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from torch._subclasses.fake_tensor import FakeTensor

import shipped
from trapmid import wiring
from trapmid.nets.snresnet import resolution_plan
from trapmid.profiles import preflight, sizes
from trapmid.profiles.text import written


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What other networks said in another test."""
    sizes._refusal.cache_clear()
    yield
    sizes._refusal.cache_clear()


def study(size: int, profile: str = "small") -> dict[str, Any]:
    """The profile at another size of images."""
    content: dict[str, Any] = YAML(typ="safe").load(shipped.text(profile))
    for row in content["data"].values():
        row["image_size"] = size
    return content


@pytest.mark.parametrize("size", [16, 24, 32, 40, 48, 64])
def test_a_size_for_all_passes(size: int) -> None:
    assert [*sizes.problems(study(size))] == []


def test_every_reason_is_one_line_with_the_first_row_that_has_it() -> None:
    first = {
        "data.faces.image_size: 36 is not 4, 5, 6 or 7 times a power of two": "public_priors.gmi",
        "data.faces.image_size: small_vgg needs a multiple of 8 >= 16, not 36": "targets.none-0",
        "data.faces.image_size: small_ir needs a multiple of 8, not 36": "evaluators.second",
        "data.faces.image_size: must be a multiple of 8 >= 16, is 36": "judges.verifier",
    }
    rows = {
        "public_priors.gmi": 4,
        "targets.none-0": 2,
        "evaluators.second": 0,
        "judges.verifier": 1,
    }
    wanted = [
        f"{line} ({row}{f' and {rows[row]} more' if rows[row] else ''})"
        for line, row in first.items()
    ]
    assert sorted(sizes.problems(study(36))) == sorted(wanted)


def test_every_size_of_a_network_is_tried() -> None:
    """The same network on two rows of `data`, of which the second has a size that it refuses."""
    content = study(32, "wide")
    content["data"]["strangers"]["image_size"] = 36
    assert [*sizes.problems(content)] == [
        "data.strangers.image_size: small_vgg needs a multiple of 8 >= 16, not 36 "
        "(pretrained.strangers)"
    ]


@pytest.mark.parametrize("size", range(16, 130, 2))
def test_a_prior_is_refused_where_its_own_rule_says_so(size: int) -> None:
    """Six priors of two networks; only they know of no other rule than that of the doublings."""
    content = study(size)
    for section in ("evaluators", "pretrained", "targets", "surrogates", "judges"):
        content[section] = {}
    wanted = why_not(size)
    found = [line.partition(" (public_priors.gmi and ")[0] for line in sizes.problems(content)]
    assert found == ([f"data.faces.{wanted}"] if wanted else [])


def why_not(size: int) -> str:
    try:
        resolution_plan(size)
    except ValueError as error:
        return str(error)
    return ""


def test_the_whole_check_says_so() -> None:
    lines = preflight.problems(written(study(36)))
    assert (
        "data.faces.image_size: small_ir needs a multiple of 8, not 36 (evaluators.second)" in lines
    )


def test_a_program_and_a_missing_package_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's file says its size when it is read; a package may be there on another machine."""
    content = study(32)
    content["targets"]["none-0"]["arch"] = "exported"
    real = wiring.target

    def without_dlib(arch: str) -> Any:
        if arch == "small_ir":
            raise ImportError("no such package")
        return real(arch)

    monkeypatch.setattr(wiring, "target", without_dlib)
    assert [*sizes.problems(content)] == []
    content["data"]["faces"]["image_size"] = 36
    assert not any("small_ir" in line for line in sizes.problems(content))


def test_nothing_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of the high-resolution profile would take gigabytes otherwise."""
    made = []
    real = wiring.target

    def kept(arch: str) -> Any:
        def make(*shape: int) -> Any:
            made.append(real(arch)(*shape))
            return made[-1]

        return make

    monkeypatch.setattr(wiring, "target", kept)
    assert [*sizes.problems(study(224, "paper_highres"))] == []
    weights = [weight for network in made for weight in network.parameters()]
    assert sum(weight.numel() for weight in weights) > 10**8
    assert all(isinstance(weight, FakeTensor) for weight in weights)


def test_a_network_that_computes_with_its_numbers_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def numbers(_: str) -> Any:
        return lambda people, side: float(torch.ones(people).sum())

    monkeypatch.setattr(wiring, "target", numbers)
    assert [*sizes.problems(study(32))] == []
