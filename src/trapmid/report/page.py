"""The report as one HTML file that opens offline, and as Markdown: the same content twice.

What is shown is decided here; how it looks is in templates/. No number is computed here but means
and deviations over seeds.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from trapmid.artifacts import results
from trapmid.config.criteria import UNDEFENDED, WEAK
from trapmid.report import attackers
from trapmid.report.inputs import Inputs
from trapmid.report.summary import (
    FLOOR,
    cell_label,
    deviation,
    families,
    label,
)
from trapmid.scoring.scores import AttackScores, Recognition, RowScores, TargetScores

_FRECHET = {
    "evaluator": "Fréchet distance (evaluator features)",
    "inception": "FID (Inception features)",
}
"""The distance has another name, and another scale, with other features."""

_STAGES = {
    "evaluators": "evaluator",
    "starts": "start",
    "targets": "target",
    "public_priors": "public prior",
    "surrogates": "surrogate",
    "guided_priors": "guided prior",
    "cells": "attack",
}


_STARTS = "models/starts/"

_THEORY = {
    "delta": "δ: worst class",
    "delta_mean": "δ: mean",
    "naturalness_classifier": "ε: classifier",
    "naturalness_gaussian": "ε: Gaussian",
    "margin": "δ − ε",
    "log_posterior_benign": "log p(y|benign)",
    "log_posterior_poisoned": "log p(y|poisoned)",
    "bound": "Its bound",
}
"""The theory's numbers and their column heads; a margin and a bound are the classifier's."""


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One check of the study as the report shows it."""

    name: str
    passed: bool
    invalid: bool  # whether its failure makes the study worthless
    meaning: str  # what holds when it passes
    detail: str  # the numbers, or the rows that failed


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of the report: a file for Markdown, its bytes for HTML."""

    path: str  # under reports/
    png: bytes
    caption: str

    @property
    def uri(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True, kw_only=True)
class _Pictures:
    """Pictures of one kind: a few of the first seed stand open, the others behind a click."""

    first: list[Picture] = field(default_factory=list)
    more: list[Picture] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A line of a table; a `detail` line belongs to the line above it."""

    cells: tuple[str, ...]
    kind: str  # mean | detail | reference | line


@dataclass(frozen=True, kw_only=True)
class Pages:
    html: str
    markdown: str


def render(
    inputs: Inputs,
    metrics: Mapping[str, Any],
    charts: Mapping[str, bytes],
    checks: Sequence[CheckLine],
) -> Pages:
    """The report.

    Args:
        inputs: what the stages left.
        metrics: the content of reports/metrics.json.
        charts: PNGs by path under reports/, from `figures.draw_all`.
        checks: every check of the study.
    """
    context = _Context(inputs, metrics, {**inputs.pictures, **charts}).build(checks)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("trapmid.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
    )
    environment.filters["cell"] = _markdown_cell
    return Pages(
        html=environment.get_template("report.html.j2").render(context),
        markdown=environment.get_template("report.md.j2").render(context),
    )


class _Context:
    """What the templates see, section by section."""

    def __init__(
        self, inputs: Inputs, metrics: Mapping[str, Any], pictures: Mapping[str, bytes]
    ) -> None:
        self.inputs, self.metrics, self.pictures = inputs, metrics, pictures
        self.params = inputs.params
        self.defense_of = {
            cell: cell_label(self.params, block) for cell, block in self.params["cells"].items()
        }
        self.targets_of: dict[str, list[str]] = {}
        for row, block in self.params["targets"].items():
            self.targets_of.setdefault(label(self.params, block), []).append(row)

    def build(self, checks: Sequence[CheckLine]) -> dict[str, Any]:
        failed = sorted((c for c in checks if not c.passed), key=lambda check: not check.invalid)
        return {
            "profile": self.params["profile"],
            "seeds": self._seeds(),
            "worst_header": (
                "Defence",
                "AA-1 (%) ↓",
                "AA-5 (%) ↓",
                "n_success / n",
                "Attack",
                "Its seeds",
                "Attacks that ran",
            ),
            "worst_table": _lines(attackers.worst_lines(self.metrics)),
            "star": self._star(),
            "matrix_header": ("Defence", *self.metrics["attacks"]),
            "matrix_table": _lines(attackers.matrix_lines(self.metrics)),
            "attacker_header": (
                "Attack",
                "Search (s)",
                "Its prior (s)",
                "Surrogates (s)",
                "All (s)",
            ),
            "attacker_table": _lines(attackers.cost_lines(self.inputs)),
            "count_header": (
                "Attack",
                "Defence",
                "Coverage (%)",
                "Left out",
                "Images asked about",
                "Of one reconstruction",
            ),
            "count_table": _lines(attackers.count_lines(self.inputs)),
            "stand_in_header": (
                "Attack",
                "Defence",
                "Asks",
                "Its test acc (%)",
                "Its trapdoor success (%)",
                "It accepts (%)",
                "The target accepts (%)",
            ),
            "stand_in_table": _lines(attackers.stand_in_lines(self.inputs)),
            "cautions": self._cautions(),
            "failed": failed,
            "invalid": [check for check in failed if check.invalid],
            "weak": [check for check in failed if not check.invalid],
            "checks": [*failed, *(check for check in checks if check.passed)],
            "data": self._data(),
            "target_header": (
                "Defence",
                "Seed",
                "Acc (%) ↑",
                "Validation acc (%)",
                "Trapdoor success (%) ↑",
            ),
            "target_table": self._target_table(),
            "defense_header": (
                "Defence",
                "Notes",
                "Acc (%) ↑",
                "Trapdoor success (%) ↑",
                "Attack",
                "AA-1 (%) ↓",
                "AA-1 of every seed (%)",
                "Training (s) ↓",
                "Training / none",
            ),
            "defense_table": self._defense_table(),
            "attack_header": (
                "Attack",
                "Defence",
                "Seed",
                "Acc (%) ↑",
                "AA-1 (%) ↓",
                "AA-5 (%) ↓",
                "KNN Dist ↑",
                f"{self._frechet_name()} ↑",
                "n_success / n",
            ),
            "attack_table": self._attack_table(),
            "frechet_floor": self.params["evaluation"]["frechet_min_success"],
            "frechet_features": self.params["evaluation"]["frechet_features"],
            "claims": self._claims(),
            "grids": self._grids(),
            "overview": self._some(
                "figures/matrix.png", "figures/attacks.png", "figures/trade_off.png"
            ),
            "trapdoors": self._trapdoors(),
            "theory_header": ("Defence", "Seed", *_THEORY.values(), "Holds"),
            "theory_table": self._theory_table(),
            "signatures": self._signatures(),
            "curves": self._curves(),
            "protocol": self._protocol(),
            "blocks": self._blocks(),
            "costs": self._costs(),
            "deviations": _paragraphs(self.inputs.deviations or ""),
            "deviations_markdown": _demoted(self.inputs.deviations or ""),
        }

    def _star(self) -> str:
        """What a star in the tables means; empty where there is none."""
        if not any(worst["failed"] for worst in self.metrics["worst"].values()):
            return ""
        return (
            "A star: a validity check of this attack on this defence failed, so its number says "
            "nothing about the defence."
        )

    def _seeds(self) -> list[int]:
        return sorted({block["seed"] for block in self.params["targets"].values()})

    def _origins(self) -> set[str]:
        """Who made the private images that a classifier learnt: makers of raw folders, readers."""
        rows = results.TRAINED[: results.TRAINED.index("targets") + 1]
        used = {block["data"] for section in rows for block in self.params[section].values()}
        sides = [self.params["data"][row]["private"] for row in used]
        return {side["reader"] for side in sides} | {
            block["maker"]
            for side in sides
            for name, block in self.params["raw"].items()
            if Path(side["path"]).is_relative_to(f"data/raw/{name}")
        }

    def _cautions(self) -> list[str]:
        cautions = []
        origins = self._origins()
        if "synthetic" in origins:
            cautions.append(
                "The faces are drawn by a program. They are not people, and a defence that works "
                "on them need not work on photographs: the numbers test this code and show the "
                "mechanism, they are no evidence about real faces."
            )
        if "digits" in origins:
            cautions.append("Five classes of handwritten digits prove nothing scientifically.")
        noisy = [row for row, scores in self.inputs.targets.items() if scores.stochastic]
        if noisy:
            cautions.append(
                f"By design {', '.join(noisy)} draw{'s' if len(noisy) == 1 else ''} noise at every "
                "forward pass, in use as in every attack. The scores here are one draw of it, "
                "which repeats with the seed; the check of determinism leaves such targets out."
            )
        if len(self._seeds()) == 1:
            cautions.append(
                "There is one seed. It says nothing about variance: another seed of the defence's "
                "triggers may give a very different attack accuracy."
            )
        elif len(self._seeds()) < 5:
            cautions.append(
                f"There are {len(self._seeds())} seeds: read every seed's line, not only the mean."
            )
        return cautions

    # --- tables ---------------------------------------------------------------------------------

    def _target_table(self) -> list[TableRow]:
        lines = []
        for defense, rows in self.targets_of.items():
            scores = [self.inputs.targets[row] for row in rows]
            shown = (
                _spread([one.test_accuracy for one in scores], _rate),
                _spread([one.val_accuracy for one in scores], _rate),
                _spread([one.trapdoor_success for one in scores], _rate),
            )
            seeds = [str(self.params["targets"][row]["seed"]) for row in rows]
            seed = f"mean of {len(rows)}" if len(rows) > 1 else seeds[0]
            lines.append(TableRow(cells=(defense, seed, *shown), kind="mean"))
            if len(rows) > 1:
                lines += [_target_line(*pair) for pair in zip(seeds, scores, strict=True)]
        for row, block in self.params["evaluators"].items():
            judge = self.inputs.evaluators[row]
            rates = (_rate(judge.test_accuracy), _rate(judge.val_accuracy), "–")
            cells = (f"evaluator {row}", str(block["seed"]), *rates)
            lines.append(TableRow(cells=cells, kind="reference"))
        return lines

    def _attack_table(self) -> list[TableRow]:
        lines = []
        for attack, groups in self.metrics["attacks"].items():
            for defense in groups:
                lines += self._attack_lines(attack, defense, self._cells(attack, defense))
        floor, ceiling = (self.metrics["references"][name] for name in ("floor", "ceiling"))
        for name, words, scores in (
            ("floor", "random latents, public prior", floor),
            ("ceiling", "real private test images", ceiling),
        ):
            if scores["aa1"] is not None:
                cells = (name, words, "–", "–", *_recognition_cells(Recognition(**scores)))
                lines.append(TableRow(cells=cells, kind="reference"))
        return lines

    def _cells(self, attack: str, defense: str) -> list[str]:
        return [
            cell
            for cell, block in self.params["cells"].items()
            if block["attack"] == attack and self.defense_of[cell] == defense
        ]

    def _defense_table(self) -> list[TableRow]:
        """One line per defence: what it costs in accuracy and time, and what it buys."""
        lines = []
        for defense, rows in self.targets_of.items():
            scores = [self.inputs.targets[row] for row in rows]
            attack = self.metrics["worst"][defense]["attack"] or ""
            aa1 = [self.inputs.cells[cell].aa1 for cell in self._cells(attack, defense)]
            seconds = [float(self.inputs.stats["targets"][row]["seconds"]) for row in rows]
            cells = (
                defense,
                self._notes(rows),
                _spread([one.test_accuracy for one in scores], _rate),
                _spread([one.trapdoor_success for one in scores], _rate),
                attack or "–",
                _spread(aa1, _rate),
                ", ".join(map(_rate, aa1)) or "–",
                _spread(seconds, lambda value: "–" if value is None else f"{value:.1f}"),
                self._slowdown(rows),
            )
            lines.append(TableRow(cells=cells, kind="line"))
        return lines

    def _slowdown(self, rows: list[str]) -> str:
        """Training time over that of `none` with the same architecture, data and device."""
        targets, stats = self.params["targets"], self.inputs.stats["targets"]
        mine = targets[rows[0]]
        plain = [
            row
            for row, block in targets.items()
            if block["defense"] == UNDEFENDED
            and all(block[key] == mine[key] for key in ("arch", "data"))
        ]
        if not plain or len({str(stats[row]["device"]) for row in [*rows, *plain]}) > 1:
            return "–"
        own, base = (
            math.fsum(float(stats[row]["seconds"]) for row in part) / len(part)
            for part in (rows, plain)
        )
        return f"{own / base:.2f}" if base > 0 else "–"

    def _notes(self, rows: list[str]) -> str:
        """What the numbers alone do not say: guarantees, noise, and a start that cost time, too."""
        scores = [self.inputs.targets[row] for row in rows]
        notes = []
        for fact in dict.fromkeys(name for one in scores for name in one.facts):
            values = dict.fromkeys(f"{one.facts[fact]:.4g}" for one in scores)
            notes.append(f"{fact.replace('_', ' ')} {', '.join(values)}")
        if any(one.stochastic for one in scores):
            notes.append("draws noise at every forward pass")
        for init in dict.fromkeys(str(self.params["targets"][row]["init"]) for row in rows):
            start = init.removeprefix(_STARTS).split("/")[0]
            if init.startswith(_STARTS) and start in self.inputs.stats["starts"]:
                seconds = float(self.inputs.stats["starts"][start]["seconds"])
                notes.append(f"starts from {start}, trained in {seconds:.1f} s not counted here")
        return "; ".join(notes) or "–"

    def _theory_table(self) -> list[TableRow]:
        """Section 3.4 of every trapdoored target."""
        lines = []
        for defense, rows in self.targets_of.items():
            found = {
                str(self.params["targets"][row]["seed"]): measured
                for row in rows
                if (measured := self.inputs.targets[row].theory) is not None
            }
            details = [
                TableRow(
                    cells=(
                        "",
                        seed,
                        *(_plain(getattr(one, key)) for key in _THEORY),
                        "yes" if one.holds else "no",
                    ),
                    kind="detail",
                )
                for seed, one in found.items()
            ]
            if len(found) == 1:
                lines.append(TableRow(cells=(defense, *details[0].cells[1:]), kind="mean"))
            elif found:
                shown = (
                    _spread([getattr(one, k) for one in found.values()], _plain) for k in _THEORY
                )
                held = f"{sum(one.holds for one in found.values())} of {len(found)}"
                cells = (defense, f"mean of {len(found)}", *shown, held)
                lines += [TableRow(cells=cells, kind="mean"), *details]
        return lines

    def _attack_lines(self, attack: str, defense: str, rows: list[str]) -> list[TableRow]:
        scores = [self.inputs.cells[row] for row in rows]
        accuracies = [
            self.inputs.targets[self.params["cells"][row]["target"]].test_accuracy for row in rows
        ]
        seeds = [str(self.params["cells"][row]["seed"]) for row in rows]
        details = [
            TableRow(
                cells=("", "", seed, _rate(accuracy), *_attack_cells(one)),
                kind="detail",
            )
            for seed, accuracy, one in zip(seeds, accuracies, scores, strict=True)
        ]
        if len(rows) == 1:
            only = details[0].cells
            return [TableRow(cells=(attack, defense, *only[2:]), kind="mean")]
        mean = (
            attack,
            defense,
            f"mean of {len(rows)}",
            _spread(accuracies, _rate),
            _spread([one.aa1 for one in scores], _rate),
            _spread([one.aa5 for one in scores], _rate),
            _spread([one.knn_dist for one in scores], _plain),
            _spread([one.frechet for one in scores], _plain),
            f"{sum(one.n_success for one in scores)} / {sum(one.n for one in scores)}",
        )
        return [TableRow(cells=mean, kind="mean"), *details]

    def _frechet_name(self) -> str:
        return _FRECHET[self.params["evaluation"]["frechet_features"]]

    def _claims(self) -> dict[str, Any] | None:
        """The paper's rows of the attacks and defences that this study has."""
        claims = self.inputs.claims
        if claims is None:
            return None
        rows = [
            (row["attack"], row["defense"], *_claimed(row, claims["columns"]))
            for row in claims["rows"]
            if row["defense"] in self.metrics["attacks"].get(row["attack"], {})
        ]
        return {"source": claims["source"], "setting": claims["setting"], "rows": rows}

    # --- pictures -------------------------------------------------------------------------------

    def _picture(self, path: str, caption: str) -> Picture:
        return Picture(path=path, png=self.pictures[path], caption=caption)

    def _some(self, *paths: str) -> list[Picture]:
        star = " A star: a check of the attack failed." if self._star() else ""
        captions = {
            "figures/matrix.png": f"AA-1 in percent; every defence's worst case is framed.{star}",
            "figures/attacks.png": "AA-1 per attack and defence; bars are means, dots are seeds.",
            "figures/trade_off.png": "What protection costs: down and right is better.",
        }
        return [self._picture(path, captions[path]) for path in paths if path in self.pictures]

    def _grids(self) -> list[dict[str, Any]]:
        """Per attack: one picture per defence, side by side, seed by seed."""
        grids = []
        for attack in [*self.metrics["attacks"], FLOOR]:
            cells = [row for row, b in self.params["cells"].items() if b["attack"] == attack]
            seeds = sorted({self.params["cells"][row]["seed"] for row in cells})
            by_seed = [
                {
                    "seed": seed,
                    "pictures": [
                        self._picture(f"figures/cells/{row}.png", self._grid_caption(row))
                        for row in cells
                        if self.params["cells"][row]["seed"] == seed
                    ],
                }
                for seed in seeds
            ]
            if cells:
                path = f"figures/comparison/{attack}.png"
                words = f"{attack}, seed {seeds[0]}: the same people under every defence"
                grids.append(
                    {
                        "attack": attack,
                        "floor": attack == FLOOR,
                        "by_seed": by_seed,
                        "comparison": self._picture(path, words) if path in self.pictures else None,
                    }
                )
        return grids

    def _grid_caption(self, row: str) -> str:
        scores = self.inputs.cells[row]
        return f"{self.defense_of[row]}: AA-1 {_percent(scores.aa1)}"

    def _trapdoors(self) -> _Pictures:
        captions = {
            "triggers.png": "triggers k_y, one per class",
            "poisoned.png": "private images with a trigger, blended at ten times alpha",
        }
        found = _Pictures()
        for row, block in self.params["targets"].items():
            for name, words in captions.items():
                path = f"figures/samples/targets/{row}/{name}"
                if path in self.pictures:
                    self._file(found, block["seed"], self._picture(path, f"{row}: {words}"))
        return found

    def _signatures(self) -> _Pictures:
        found = _Pictures()
        for cell, verdict in self.inputs.detections().items():
            recall = _percent(verdict.recall, 1)
            caption = f"{cell}: recall {recall}, ROC AUC {verdict.auc:.3f}"
            picture = self._picture(f"figures/signatures/{cell}.png", caption)
            block = self.params["cells"][cell]
            # A study of many attacks has dozens: the one that got most stands open.
            worst = self.metrics["worst"][self.defense_of[cell]]["attack"]
            first = block["attack"] == worst and block["seed"] == self._seeds()[0]
            (found.first if first else found.more).append(picture)
        return found

    def _file(self, pictures: _Pictures, seed: int, picture: Picture) -> None:
        (pictures.first if seed == self._seeds()[0] else pictures.more).append(picture)

    def _curves(self) -> list[dict[str, Any]]:
        """Per kind of training: the curves, and what the first seed's prior draws at the end."""
        groups = []
        for section, title in _STAGES.items():
            pictures = []
            histories = self.inputs.histories[section]
            for family, rows in families(self.params[section], histories).items():
                pictures.append(self._picture(f"figures/training/{section}/{family}.png", family))
                row = next(iter(rows.values()))
                samples = f"figures/samples/{section}/{row}/samples.png"
                if samples in self.pictures:
                    pictures.append(self._picture(samples, f"{row}: samples of the trained prior"))
            if pictures:
                groups.append({"title": title, "pictures": pictures})
        return groups

    # --- data, protocol, costs ------------------------------------------------------------------

    def _data(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "sample": self._picture(
                    f"figures/data/{name}.png", f"{name}: private identities, then public images"
                ),
                "block": block,
                "success": contract["success"],
                "counts": [(k.replace("_", " "), _count(v)) for k, v in contract["counts"].items()],
                "expectations": [
                    {
                        **expectation,
                        "what": _expectation_words(expectation),
                        "bounds": _bounds(expectation["kwargs"]),
                    }
                    for expectation in contract["expectations"]
                ],
            }
            for name, block in self.params["data"].items()
            for contract in [self.inputs.contracts[name]]
        ]

    def _protocol(self) -> list[tuple[str, str]]:
        evaluation, inversion = self.params["evaluation"], self.params["inversion"]
        fits = {block["fit"] for block in self.params["targets"].values()}
        chosen = ", ".join(sorted({self.params["fits"][name]["select"] for name in fits}))
        sizes = sorted({int(one["batch_size"]) for one in self.inputs.stats["cells"].values()})
        chosen_by = "the memory" if inversion["batch_size"] is None else "params.yaml"
        return [
            (
                "Reconstructions",
                f"{self._images_per_identity()}; what each search ended with, none picked by "
                "result",
            ),
            (
                "Rows searched at once",
                f"{', '.join(map(str, sizes))}, chosen by {chosen_by}; no result depends on it",
            ),
            ("Seeds of targets and attacks", ", ".join(map(str, self._seeds()))),
            ("Epoch kept of a target", f"by {chosen} accuracy"),
            ("AA-1, AA-5", "share that the evaluator puts first, or among its first five"),
            ("KNN Dist", "squared L2 to the nearest private training image of the class, mean"),
            (
                self._frechet_name(),
                "successful reconstructions against private training images; null below "
                f"{evaluation['frechet_min_success']} successes",
            ),
            (
                "Trapdoor signature",
                "cosine with the mean feature of poisoned images; threshold at "
                f"{_percent(evaluation['signature_fpr'], 0)} of clean private training images",
            ),
            ("Floor", "random latents through the public prior: no target is asked"),
            ("Ceiling", "real private test images scored as if they were reconstructions"),
            (
                "Spread over seeds",
                "a mean line says mean ± the population deviation (n in the denominator, as the "
                "paper's tables have it); s is the sample deviation (n − 1), which estimates how "
                "far other seeds would lie apart",
            ),
            ("Spread within a run", "± in the line of one seed, as in the paper's appendix"),
            (
                "Theory",
                "test images with the triggers of balanced random classes, those of trapdoor "
                "success; δ and ε in nats",
            ),
        ]

    def _images_per_identity(self) -> str:
        """How many images of a person the attacks made; not all make equally many."""
        attacks: dict[int, dict[str, None]] = {}
        for cell, block in self.params["cells"].items():
            count = self.inputs.cells[cell].protocol.images_per_identity
            attacks.setdefault(count, {})[block["attack"]] = None
        counts = ", ".join(f"{count} ({', '.join(names)})" for count, names in attacks.items())
        return counts.replace(" (", " per private identity (", 1)

    def _blocks(self) -> list[tuple[str, str]]:
        """The parameters themselves, as the study used them."""
        rows = {"raw", "data", *results.TRAINED}
        blocks = {
            name: block
            for name, block in self.params.items()
            if name not in rows and isinstance(block, Mapping)
        }
        changed = {
            f"{section}.{row}": block["set"]
            for section in results.TRAINED
            for row, block in self.params[section].items()
            if "set" in block
        }
        shown = blocks | {"what rows change": changed}
        return [
            (name, json.dumps(block, indent=2, ensure_ascii=False))
            for name, block in shown.items()
            if block
        ]

    def _costs(self) -> dict[str, Any]:
        lines, total, peak = [], 0.0, 0.0
        for section, title in _STAGES.items():
            for row, stats in self.inputs.stats[section].items():
                seconds, memory = float(stats["seconds"]), float(stats["peak_memory_mb"])
                total, peak = total + seconds, max(peak, memory)
                cells = (title, row, f"{seconds:.1f}", f"{memory:.0f}", str(stats["device"]))
                lines.append(TableRow(cells=cells, kind="detail"))
        cells = ("all", "", f"{total:.1f}", f"{peak:.0f}", "")
        return {
            "header": ("Stage", "Row", "Time (s)", "Peak memory (MB)", "Device"),
            "rows": [*lines, TableRow(cells=cells, kind="mean")],
            "minutes": f"{total / 60:.1f}",
        }


def check_lines(
    inputs: Inputs,
    passed: Mapping[str, bool],
    meanings: Mapping[str, str],
    details: Mapping[str, str],
) -> list[CheckLine]:
    """The checks of metrics.json with their words; a check without words shows its name.

    Args:
        inputs: its rows say in `failed_checks` what they found.
        passed: verdict by check.
        meanings: by check, what holds when it passes.
        details: by check, what the study found.
    """
    rows: list[tuple[str, RowScores]] = [
        *inputs.evaluators.items(),
        *inputs.targets.items(),
        *inputs.cells.items(),
    ]
    return [
        CheckLine(
            name=name,
            passed=verdict,
            invalid=name not in WEAK,
            meaning=meanings.get(name, name.replace("_", " ") + "."),
            detail="; ".join(
                filter(None, [details.get(name, ""), *_reasons(name, rows)]),
            ),
        )
        for name, verdict in passed.items()
    ]


def _reasons(name: str, rows: Iterable[tuple[str, RowScores]]) -> list[str]:
    """What the rows that failed a check wrote about it."""
    return [
        f"{row}: {scores.failed_checks[name]}"
        for row, scores in rows
        if name in scores.failed_checks
    ]


def _lines(lines: Iterable[tuple[str, ...]]) -> list[TableRow]:
    return [TableRow(cells=cells, kind="line") for cells in lines]


# --- words and numbers --------------------------------------------------------------------------


def _claimed(row: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    """The paper's mean ± deviation of every column, as far as it has them."""
    return [
        "–" if mean is None else f"{mean:.2f}" + ("" if std is None else f" ± {std:.2f}")
        for mean, std in (row[key] for key in columns)
    ]


def _target_line(seed: str, scores: TargetScores) -> TableRow:
    rates = (scores.test_accuracy, scores.val_accuracy, scores.trapdoor_success)
    return TableRow(cells=("", seed, *map(_rate, rates)), kind="detail")


def _attack_cells(scores: AttackScores) -> tuple[str, ...]:
    """AA-1 ... n_success of one row; ± is the paper's deviation inside one run, where known."""
    return _recognition_cells(scores, scores.aa1_std, scores.aa5_std)


def _recognition_cells(
    scores: Recognition, aa1_std: float | None = None, aa5_std: float | None = None
) -> tuple[str, ...]:
    within = ["" if std is None else f" ± {100 * std:.2f}" for std in (aa1_std, aa5_std)]
    rates = (_rate(scores.aa1) + within[0], _rate(scores.aa5) + within[1])
    share = f"{_whole(scores.n_success)} / {_whole(scores.n)}"
    return (*rates, _plain(scores.knn_dist), _plain(scores.frechet), share)


def _percent(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _rate(value: float | None) -> str:
    """A share as a number of percent, for a column whose head says so."""
    return "–" if value is None else f"{100 * value:.2f}"


def _plain(value: float | None) -> str:
    if value is None:
        return "null"
    return f"{value:.2g}" if 0 < abs(value) < 0.01 else f"{value:.2f}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def _spread(values: Sequence[float | None], shown: Callable[[float | None], str]) -> str:
    """Mean ± population deviation (s sample deviation) over the seeds that have a number."""
    there = [value for value in values if value is not None]
    if not there:
        return shown(None)
    mean, found = shown(math.fsum(there) / len(there)), deviation(there)
    notes = [f"{len(there)} of {len(values)}"] if len(there) < len(values) else []
    if found.sample is not None:
        mean += f" ± {shown(found.population)}"
        notes = [f"s {shown(found.sample)}", *notes]
    return mean + (f" ({'; '.join(notes)})" if notes else "")


def _count(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_count(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_count, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _expectation_words(expectation: Mapping[str, Any]) -> str:
    words = str(expectation["expectation"]).removeprefix("expect_").replace("_", " ")
    for prefix in ("column values to ", "column ", "table "):
        words = words.removeprefix(prefix)
    return words


def _bounds(kwargs: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_count(value)}" for key, value in kwargs.items())


def _markdown_cell(text: object) -> str:
    return " ".join(str(text).replace("|", "\\|").replace("*", "\\*").split())


def _paragraphs(markdown: str) -> list[dict[str, Any]]:
    """The little Markdown that our documents use, for HTML: headings, lists, tables, paragraphs."""
    blocks: list[dict[str, Any]] = []
    for chunk in markdown.split("\n\n"):
        lines = [line.rstrip() for line in chunk.strip("\n").splitlines() if line.strip()]
        while lines and lines[0].startswith("#"):
            blocks.append({"kind": "heading", "lines": [lines.pop(0).lstrip("# ")]})
        if not lines:
            continue
        if lines[0].lstrip().startswith(("- ", "* ")):
            blocks.append({"kind": "list", "lines": _items(lines)})
        elif lines[0].startswith("|"):
            table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            rows = [row for row in table if not all(set(cell) <= set("-: ") for cell in row)]
            blocks.append({"kind": "table", "lines": rows})
        else:
            blocks.append({"kind": "paragraph", "lines": [" ".join(map(str.strip, lines))]})
    return blocks


def _items(lines: Iterable[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        text = line.strip()
        if text.startswith(("- ", "* ")):
            items.append(text[2:])
        else:
            items[-1] += " " + text
    return items


def _demoted(markdown: str) -> str:
    """The document without its title, its headings one level down."""
    lines = markdown.strip().splitlines()
    body = lines[1:] if lines and lines[0].startswith("# ") else lines
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in body).strip()
