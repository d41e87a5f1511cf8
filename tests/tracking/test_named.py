"""Tags and parameters of a row."""

from __future__ import annotations

import fake_study
from trapmid.tracking.named import row_blocks
from trapmid.tracking.records import collect


def test_tags_and_parameters_follow_what_a_attack_run_names(place):
    study = fake_study.params(seeds=(0,))
    study["leaks"] = {"trapmid-0": {"target": "trapmid-0", "rank": 3}}
    study["signatures"] = {
        "trapmid-0": {"target": "trapmid-0", "leak": "models/leaks/trapmid-0.pt", "top_n": 30}
    }
    attack_runs = study["attack_runs"]
    attack_runs["plgmi-trapmid-0"]["side_information"] = "models/signatures/trapmid-0.pt"
    attack_runs["gmi-trapmid-0"]["side_information"] = (
        "models/surrogates/students-trapmid-0/model.pt"
    )
    found = {(r.tags["section"], r.tags["row"]): r for r in collect(study, place).records}
    through = found["attack_runs", "plgmi_distil-trapmid-0"]
    assert (through.tags["attack"], through.tags["method"]) == ("plgmi_distil", "plgmi")
    assert through.tags["queried_model"] == "students"
    assert through.params["queried_model_training.epochs"] == "3"
    assert found["guided_priors", "distil-trapmid-0"].tags["queried_model"] == "students"
    adaptive = found["attack_runs", "plgmi-trapmid-0"]
    assert adaptive.tags["queried_model"] == "target"
    assert adaptive.params["side_information.top_n"] == "30" and adaptive.params["leak.rank"] == "3"
    assert found["attack_runs", "gmi-trapmid-0"].params["side_information_training.epochs"] == "3"
    assert "queried_model" not in found["targets", "trapmid-0"].tags


def test_a_judge_that_learns_has_its_training():
    study = fake_study.params(seeds=(0,))
    block = {"block": "judge_training.verifier", "set": {"steps": 9}}
    study["trained_judges"]["own"] = {"data": "faces", "method": "verifier", "seed": 0, **block}
    found = row_blocks(study, "trained_judges", "own")
    assert dict(found["judge_training"]) == {"steps": 9}
    assert found["data"] == study["data"]["faces"]
