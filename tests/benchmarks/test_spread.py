"""The benchmark of spread makes every file that its stages open."""

from __future__ import annotations

import spread

import shipped
from trapmid.config import params
from trapmid.config.study import AttackRunRow


def test_no_attack_run_names_a_judge_that_nobody_makes() -> None:
    text = shipped.text("small", (0, 3))
    before, after = params.parse(text), params.parse(spread.without_judges(text))
    made = {"models/priors/public/gmi"}
    made |= {f"models/priors/guided/{one}" for one in spread.ATTACK_RUNS if "plgmi" in one}
    for row in (f"{one}-{seed}" for one in spread.ATTACK_RUNS for seed in (0, 3)):
        where = f"attack_runs.{row}"
        one = params.build(AttackRunRow, params.section(after, where), where)
        files = {one.verifier, one.identity, one.second_evaluator, one.side_information}
        assert files == {"weights/none"}
        assert one.evaluator == "evaluator"
        assert one.prior.removesuffix(f"-{one.seed}") in made
    # Nothing else is another than in the profile.
    for row in after["attack_runs"]:
        kept = before["attack_runs"][row]
        names = ("verifier", "identity", "second_evaluator")
        assert after["attack_runs"][row] == kept | dict.fromkeys(names, "weights/none")
    sections = set(before) - {"attack_runs"}
    assert {name: after[name] for name in sections} == {name: before[name] for name in sections}
