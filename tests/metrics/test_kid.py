"""KID against a literal loop and against the numbers of released libraries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from trapmid.metrics import kid as module
from trapmid.metrics.kid import kid, subset_kids


def drawn() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(300, 16, generator=generator),
        torch.randn(200, 16, generator=generator) * 0.9 + 0.3,
    )


def loop(first: Tensor, second: Tensor) -> float:
    def kernel(x: list[float], y: list[float]) -> float:
        return (sum(a * b for a, b in zip(x, y, strict=True)) / len(x) + 1) ** 3

    x, y = first.tolist(), second.tolist()
    within = [
        sum(kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    return sum(within) - 2 * sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))


@pytest.mark.parametrize("cells", [8_000_000, 100])
def test_equals_the_literal_loop(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CELLS", cells)
    first, second = drawn()[0][:30], drawn()[1][:41]
    assert kid(first, second) == pytest.approx(loop(first, second), rel=1e-12)
    assert kid(first[:2], second[:2]) == pytest.approx(loop(first[:2], second[:2]), rel=1e-12)


def test_released_libraries_agree() -> None:
    """On `drawn()`, float64 features, one subset of 200, which is all of the second set.

    clean-fid 0.1.35, kernel_distance of the first 200 and the second set: 0.3486612106938773;
    torch-fidelity 0.4.0, kernel_mmd: 0.3486612106938769, and 0.34866118 in float32.
    """
    real, made = drawn()
    assert kid(real[:200], made) == pytest.approx(0.3486612106938773, rel=1e-12)


def test_a_small_set_is_no_farther_than_a_large_one() -> None:
    """Unbiased: over many small samples of one distribution the mean is zero."""
    generator = torch.Generator().manual_seed(1)
    values = [kid(*torch.randn(2, 20, 8, generator=generator)) for _ in range(400)]
    found = torch.tensor(values)
    assert abs(float(found.mean())) < 3 * float(found.std()) / 20
    assert found.min() < 0


def test_order_and_dtype_say_nothing() -> None:
    real, made = drawn()
    assert kid(real, made) == pytest.approx(kid(made.flip(0).double(), real.flip(0)), rel=1e-12)


def test_subsets() -> None:
    real, made = drawn()
    found = subset_kids(real, made, 50, 30, torch.Generator().manual_seed(3))
    assert found.shape == (30,) and found.dtype == torch.float64
    assert float(found.mean()) == pytest.approx(kid(real, made), abs=4 * float(found.std()) / 5.5)
    whole = subset_kids(made, made, 200, 2, torch.Generator())
    assert whole.tolist() == pytest.approx([kid(made, made)] * 2, abs=1e-12)
    with pytest.raises(ValueError, match=r"^kid: subsets of 201 of 300 and 200 images$"):
        subset_kids(real, made, 201, 1, torch.Generator())


def test_subsets_are_as_large_as_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def watched(first: Tensor, second: Tensor) -> float:
        sizes.append((len(first), len(second)))
        return kid(first, second)

    monkeypatch.setattr(module, "kid", watched)
    subset_kids(*drawn(), 50, 30, torch.Generator().manual_seed(3))
    assert sizes == [(50, 50)] * 30


def test_one_image_and_other_widths_are_refused() -> None:
    real, made = drawn()
    with pytest.raises(ValueError, match=r"^kid: needs two images on each side, has 300, 1$"):
        kid(real, made[:1])
    with pytest.raises(ValueError, match=r"^kid: widths differ: 16 and 15$"):
        kid(real, made[:, 1:])
