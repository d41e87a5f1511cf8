"""The streams of identities and of images."""

from __future__ import annotations

import pytest
import torch

from trapmid.data.drawing.vectors import ATTRIBUTES, NUISANCES, identity_vectors, nuisance_vectors

pytestmark = pytest.mark.usefixtures("one_thread")


def test_names_are_unique_and_enough() -> None:
    assert len(set(ATTRIBUTES)) == len(ATTRIBUTES) >= 24
    assert len(set(NUISANCES)) == len(NUISANCES)


@pytest.mark.parametrize("domain", ["celeba", "ffhq"])
def test_vectors_are_bounded_and_their_rows_independent(domain: str) -> None:
    many = identity_vectors(range(300), seed=3, domain=domain)
    assert many.shape == (300, len(ATTRIBUTES)) and many.dtype == torch.float64
    assert many.min() >= 0 and many.max() <= 1
    assert torch.equal(identity_vectors([17, 5], seed=3, domain=domain), many[[17, 5]])
    assert not torch.equal(identity_vectors([17], seed=4, domain=domain), many[[17]])


def test_nuisances_are_uniform_and_their_rows_independent() -> None:
    pairs = [(identity, image) for identity in range(60) for image in range(60)]
    many = nuisance_vectors(pairs, seed=3, domain="celeba")
    assert many.shape == (3600, len(NUISANCES))
    assert len(torch.unique(many[:, 0])) > 3590
    assert (many.mean(0) - 0.5).abs().max() < 0.03
    assert (torch.corrcoef(many.T) - torch.eye(len(NUISANCES))).abs().max() < 0.1
    assert torch.equal(nuisance_vectors([(9, 4)], seed=3, domain="celeba")[0], many[9 * 60 + 4])


def test_ffhq_distribution_is_shifted() -> None:
    celeba = identity_vectors(range(2000), seed=1, domain="celeba")
    ffhq = identity_vectors(range(2000), seed=1, domain="ffhq")
    shift = dict(zip(ATTRIBUTES, (ffhq.mean(0) - celeba.mean(0)).tolist(), strict=True))
    assert shift["age"] > 0.08 and shift["glasses"] > 0.08 and shift["hair_lightness"] > 0.05
    assert shift["skin_darkness"] < -0.05 and shift["lip_colour"] < -0.05
    assert abs(shift["nose_width"]) < 0.05


def test_an_unknown_domain_raises() -> None:
    with pytest.raises(ValueError, match="domain"):
        identity_vectors([1], seed=1, domain="lfw")
    with pytest.raises(ValueError, match="domain"):
        nuisance_vectors([(1, 0)], seed=1, domain="lfw")
