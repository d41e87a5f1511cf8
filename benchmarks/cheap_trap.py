"""What cheaper searches for Trap-MID's triggers cost, and how far they protect.

    python benchmarks/cheap_trap.py FILE.json [--rounds 20]
    python benchmarks/cheap_trap.py FILE.json --table

In a checkout whose study is `trapmid profile cheap_trap --seeds 0 1 2` and was run, the first form
times the steps of every row of targets, interleaved, on one thread, collects the study's scores,
and writes both to FILE.json. The second prints the table of docs/defenses.md from such a file.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from trapmid import wiring
from trapmid.config import params
from trapmid.config.params import Study
from trapmid.config.study import ClassifierTraining
from trapmid.metrics.statistics import intervals
from trapmid.metrics.statistics.intervals import Interval
from trapmid.profiles.compose import compose
from trapmid.runtime import Runtime, choose_precision, onednn_level
from trapmid.training import fit
from trapmid.types import Objective, Progress, Setting, Target

ROOT = Path(__file__).resolve().parents[1]
PROFILE = "cheap_trap"
SEEDS = (0, 1, 2)
STEPS = 4  # of a measurement: as many as `search_every` divides
PEOPLE, SIDE = 24, 32  # of the drawn faces
NAMES = {
    "none": "no defence",
    "trapmid": "the paper's search",
    "trapmid_every": "every second step (`search_every: 2`)",
    "trapmid_settled": "until 80 % success (`until: 1.0`, `frozen_after: 0.8`)",
    "trapmid_small": "small discriminator (`discriminator_width: 8`)",
    "trapmid_small_every": "small discriminator, every second step",
    "trapmid_free": "free triggers (`free: true`)",
    "trapmid_free_small": "free triggers, small discriminator",
    "trapmid_free_every": "free triggers, small discriminator at every second step",
}
"""The rows of the table, in its order: what each changes of the block `trapdoor`."""


class Trained:
    """A network and its objective, to be stepped on random images.

    Args:
        study: the parameters.
        row: of `targets`, without its seed.
        rests: whether the search for triggers is over. That is said here and left to no epoch:
            on random images no share of success (`frozen_after`) is reached that would end it.
    """

    def __init__(self, study: Study, row: str, *, rests: bool) -> None:
        block = study["targets"][f"{row}-0"]
        entry = f"classifier_training.{block['training']}"
        plan = params.build(ClassifierTraining, params.section(study, entry), entry)
        cpu = torch.device("cpu")
        self.rt = Runtime(device=cpu, seed=0, precision=choose_precision(plan.precision, cpu))
        values = params.of_row(study, "targets", f"{row}-0").plain()
        if "until" in values:
            values["until"] = 0.0 if rests else 1.0
        defense = wiring.defense(block["method"], values, block["block"])
        self.model = self._network(PEOPLE)
        setting = Setting(
            image_shape=(3, SIDE, SIDE),
            num_classes=PEOPLE,
            new_network=self._network,
            new_optimizer=partial(fit.make_optimizer, plan),
            rt=self.rt,
        )
        self.objective: Objective = defense.objective(setting)
        self.optimizer = fit.make_optimizer(plan, self.model.parameters())
        generator = self.rt.generator("images")
        self.images = torch.rand(plan.batch_size, 3, SIDE, SIDE, generator=generator)
        self.labels = torch.randint(PEOPLE, (plan.batch_size,), generator=generator)

    def _network(self, outputs: int) -> Target:
        with self.rt.seeded("initial weights", outputs):
            network: Target = wiring.target("small_vgg")(outputs, SIDE)
        return self.rt.place(network).train()

    def seconds(self) -> float:
        """CPU seconds of a step, the mean of `STEPS`, an epoch's."""
        began = time.process_time()
        for step in range(STEPS):
            at = Progress(0, 1, step, STEPS)
            loss = self.objective(self.model, self.images, self.labels, at)
            self.optimizer.zero_grad(set_to_none=True)
            loss.total.backward()
            self.optimizer.step()
        return (time.process_time() - began) / STEPS


def time_steps(rounds: int) -> dict[str, dict[str, float]]:
    """By row: a step's CPU seconds and, against no defence, how many times as many.

    Of a step during the search (`searching`) and of one after it (`resting`): medians of rounds in
    which every row has its turn.
    """
    torch.set_num_threads(1)
    study = params.parse(compose(PROFILE, [0], ROOT / "profiles"), "params.yaml")
    kinds = ("searching", "resting")
    rows = {
        row: {kind: Trained(study, row, rests=kind == "resting") for kind in kinds} for row in NAMES
    }
    taken: dict[str, dict[str, list[float]]] = {r: {k: [] for k in kinds} for r in rows}
    for turn in range(rounds + 1):
        for kind in kinds:
            for row, trained in rows.items():
                seconds = trained[kind].seconds()
                if turn:  # the first one warms up
                    taken[row][kind].append(seconds)
    return {row: _medians(times, taken["none"]) for row, times in taken.items()}


def _medians(times: dict[str, list[float]], none: dict[str, list[float]]) -> dict[str, float]:
    found = {}
    for kind, seconds in times.items():
        ratios = [own / other for own, other in zip(seconds, none[kind], strict=True)]
        found[f"{kind}_ms"] = round(1000 * statistics.median(seconds), 3)
        found[f"{kind}_ratio"] = round(statistics.median(ratios), 3)
    return found


def collect(root: Path) -> Iterator[dict[str, Any]]:
    """A line for every row of targets and seed: its scores, and those of every attack on it."""
    for row in NAMES:
        for seed in SEEDS:
            target = _read(root / f"reports/scores/targets/{row}-{seed}.json")
            attacks = {}
            for file in sorted((root / "reports/scores/attack_runs").glob(f"*-{row}-{seed}.json")):
                scores = _read(file)
                attacks[scores["attack"]] = {
                    "aa1": _rate(scores["aa1"], scores, "aa1"),
                    "identity_aa1": _rate(
                        scores["judges"]["identity"]["aa1"], scores, "judges.identity.aa1"
                    ),
                }
            yield {
                "row": row,
                "seed": seed,
                "searched": searched(root / f"reports/training/targets/{row}-{seed}/history.csv"),
                "test_accuracy": target["test_accuracy"],
                "trapdoor_success": target["trapdoor_success"],
                "attacks": attacks,
            }


def _rate(value: float, scores: dict[str, Any], name: str) -> dict[str, float]:
    interval = scores["intervals"][name]
    return {"value": value, "low": interval["low"], "high": interval["high"]}


def searched(curve: Path) -> float:
    """The share of a training's epochs in which the discriminator learnt."""
    with curve.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    return sum(bool(line.get("image_discriminator_loss")) for line in lines) / len(lines)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))[0]


def table(content: dict[str, Any]) -> str:
    """The Markdown of a file's content."""
    head = ("search", "a step of it", "training", "accuracy (%)", "trapdoor success (%)")
    head += ("worst-case AA-1 (%)", "by true identity (%)")
    lines = [head, ("---",) * len(head)]
    lines += [_line(row, content) for row in NAMES if row in content["steps"]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _seeds(row: str, content: dict[str, Any]) -> list[dict[str, Any]]:
    return [line for line in content["rows"] if line["row"] == row]


def _line(row: str, content: dict[str, Any]) -> tuple[str, ...]:
    step, seeds = content["steps"][row], _seeds(row, content)
    success = [line["trapdoor_success"] for line in seeds]
    return (
        NAMES[row],
        f"{step['searching_ratio']:.2f} x",
        _whole(step, seeds),
        _rates([line["test_accuracy"] for line in seeds]),
        _rates([one for one in success if one is not None]),
        _worst(seeds, "aa1"),
        _worst(seeds, "identity_aa1"),
    )


def _whole(step: dict[str, float], seeds: list[dict[str, Any]]) -> str:
    """A training's mean step against no defence, by the share of its epochs with a search."""
    if not seeds:
        return ""
    share = statistics.mean(line["searched"] for line in seeds)
    return f"{share * step['searching_ratio'] + (1 - share) * step['resting_ratio']:.2f} x"


def _rates(values: list[float]) -> str:
    return ", ".join(f"{100 * value:.1f}" for value in values)


def _worst(seeds: Iterable[dict[str, Any]], number: str) -> str:
    """Of each attacked seed the strongest attack's rate; the mean and its interval."""
    found = [
        max((attack[number] for attack in line["attacks"].values()), key=lambda one: one["value"])
        for line in seeds
        if line["attacks"]
    ]
    if not found:
        return ""
    values = [one["value"] for one in found]
    within = [Interval(low=o["low"], high=o["high"], kind="identities", n=PEOPLE) for o in found]
    interval = intervals.of_cell(values, within)
    ends = "" if interval is None else f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    return f"{100 * statistics.mean(values):.1f}{ends}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    if not words.table:
        try:
            rows = list(collect(ROOT))
        except OSError as error:
            sys.exit(f"cheap_trap: {error.filename}: missing; run the profile {PROFILE} first")
        content = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "torch": torch.__version__,
            "instructions": [torch.backends.cpu.get_cpu_capability(), onednn_level()],
            "threads": 1,
            "steps": time_steps(words.rounds),
            "rows": rows,
        }
        words.file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table(json.loads(words.file.read_text(encoding="utf-8"))), end="")


if __name__ == "__main__":
    main()
