"""Which attack brings most to light, of scored images; on a part of the people it does not rank."""

from __future__ import annotations

import torch

from trapmid.report import revealing

PARAMS = {
    "targets": {"t": {"data": "faces", "arch": "a", "defense": "mid"}},
    "attack_runs": {
        f"{attack}-{seed}": {"attack": attack, "target": "t", "data": "faces", "seed": seed}
        for attack in ("plgmi", "random", "gmi")
        for seed in (1, 0)
    },
}
RUNS = {"gmi": ["gmi-0", "gmi-1"], "plgmi": ["plgmi-0"]}


def scored(agreed=None, labels=(0, 0, 1, 1)):
    judged = {} if agreed is None else {"agreed": torch.tensor(agreed).bool()}
    return {"labels": torch.tensor(labels), "judged": judged}


def test_runs_are_of_one_defence_with_the_lowest_seed_first():
    assert revealing.runs_on(PARAMS, "mid") == {
        "plgmi": ["plgmi-0", "plgmi-1"],
        "gmi": ["gmi-0", "gmi-1"],
    }
    assert revealing.runs_on(PARAMS, "none") == {}
    block = PARAMS["attack_runs"]["gmi-0"]
    ten = {**PARAMS, "attack_runs": {f"gmi-{s}": block | {"seed": s} for s in (10, 9)}}
    assert revealing.runs_on(ten, "mid") == {"gmi": ["gmi-9", "gmi-10"]}


def test_means_over_seeds_rank_the_attacks():
    half, one, none = (1, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0)
    for of_plgmi, best in ((half, "plgmi"), (one, "gmi"), (none, "gmi")):
        runs = {"gmi-0": scored(half), "gmi-1": scored(one), "plgmi-0": scored(of_plgmi)}
        assert revealing.most_revealing(RUNS, runs, "plgmi") == best
    silent = {row: scored() for row in ("gmi-0", "gmi-1", "plgmi-0")}
    assert revealing.most_revealing(RUNS, silent, "plgmi") is None
    assert revealing.most_revealing(RUNS, {**silent, "gmi-0": scored(none)}, "plgmi") is None


def test_an_attack_on_a_part_of_the_people_ranks_where_all_are():
    every, part = (1, 1, 1, 1), (0, 0, 0, 0)
    runs = {"gmi-0": scored((1, 0, 0, 0)), "plgmi-0": scored(every, part)}
    both = {"gmi": ["gmi-0"], "plgmi": ["plgmi-0"]}
    assert revealing.partial(both, runs) == ["plgmi"]
    assert revealing.most_revealing(both, runs, "plgmi") == "gmi"
    runs["gmi-0"] = scored((1, 0, 0, 0), part)
    assert revealing.partial(both, runs) == []
    assert revealing.most_revealing(both, runs, "plgmi") == "plgmi"
