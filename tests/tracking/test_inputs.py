"""Which data a row used."""

from __future__ import annotations

from stores import LOCK

import fake_study
from trapmid.tracking.inputs import contexts, counts, lock_digests


def test_a_row_that_learns_trained_on_its_data_and_a_judge_is_measured_on_them():
    params = fake_study.params(seeds=(0,))
    for section in ("evaluators", "pretrained", "targets", "public_priors", "surrogates"):
        for row in params[section]:
            assert contexts(params, section, row) == {"faces": "training"}
    assert contexts(params, "judges", "verifier") == {"faces": "evaluation"}


def test_an_attack_names_every_data_that_it_met_by_their_first_use():
    params = fake_study.params(seeds=(0,))
    assert contexts(params, "attack_runs", "plgmi-trapmid-0") == {"faces": "attack"}
    run = params["attack_runs"]["plgmi-trapmid-0"]
    prior = params["guided_priors"][run["prior"].rpartition("/")[2]]
    prior["data"], run["data"] = "of the prior", "of the row"
    params["evaluators"]["evaluator"]["data"] = "of the evaluator"
    params["targets"]["trapmid-0"]["data"] = "of the target"
    assert contexts(params, "attack_runs", "plgmi-trapmid-0") == {
        "of the target": "attack",
        "of the row": "evaluation",
        "of the evaluator": "evaluation",
        "of the prior": "training",
    }
    run["prior"] = "weights/some_prior.pt"  # of nobody here
    assert "of the prior" not in contexts(params, "attack_runs", "plgmi-trapmid-0")


def test_digests_are_those_of_dvc(tmp_path):
    assert lock_digests(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(LOCK, encoding="utf-8")
    assert lock_digests(tmp_path) == {
        "data/prepared/faces/manifest.csv": "0123456789abcdef" * 2,
        "models/targets/trapmid-0/model.pt": "fedcba9876543210" * 2,
    }


def test_a_row_that_is_gone_keeps_no_digest_alive(tmp_path):
    """Its block still says what the stage read when it ran last."""
    dead = """  invert@gone-trapmid-0:
    cmd: exec
    deps:
    - path: models/targets/trapmid-0/model.pt
      hash: md5
      md5: 00000000000000000000000000000000
      size: 9
    outs:
    - path: models/attacks/gone.pt
      hash: md5
      md5: 11111111111111111111111111111111
"""
    (tmp_path / "dvc.lock").write_text(LOCK + dead, encoding="utf-8")
    found = lock_digests(tmp_path)
    assert found["models/targets/trapmid-0/model.pt"] == "fedcba9876543210" * 2
    assert found["models/attacks/gone.pt"] == "1" * 32


def test_counts_are_those_of_the_contract(place, tmp_path):
    assert counts(place, "faces")["identities"] == 20
    assert counts(tmp_path, "faces") == {}
