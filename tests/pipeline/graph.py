"""dvc.yaml as DVC understands it, and what a stage may use without declaring it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from closure import ROOT, closure

SOURCE = ROOT / "src" / "trapmid"

SECTIONS = {
    "make_raw": "raw",
    "prepare_data": "data",
    "validate_data": "data",
    "train_evaluator": "evaluators",
    "train_start": "starts",
    "train_target": "targets",
    "train_public_prior": "public_priors",
    "train_surrogate": "surrogates",
    "leak_signatures": "leaks",
    "take_signatures": "signatures",
    "train_guided_prior": "guided_priors",
    "invert": "cells",
    "evaluate_evaluator": "evaluators",
    "evaluate_target": "targets",
    "evaluate": "cells",
}
"""The section of params.yaml whose rows a stage repeats over, in an order that can be run."""

# Files that a stage loads only to rebuild a network from a checkpoint. They are no dependencies:
# the checkpoint is one, and it carries a digest of them (`checkpoints.code_digest`).
DIGESTED = {
    "train_surrogate": ("targets", "nets", "defenses"),
    "leak_signatures": ("targets", "nets", "defenses"),
    "take_signatures": ("targets", "nets", "defenses"),
    "train_guided_prior": ("targets", "nets", "defenses"),
    "invert": ("targets", "priors", "nets", "defenses"),
    "evaluate_evaluator": ("targets", "nets", "defenses"),
    "evaluate_target": ("targets", "nets", "defenses"),
    "evaluate": ("targets", "nets", "defenses"),
}
# What these modules import for a training alone: a later stage only asks the trained network.
OF_DEFENSES = ("objectives.py", "trapdoors.py")
TRAINING_ONLY = {
    "train_surrogate": OF_DEFENSES,
    "leak_signatures": OF_DEFENSES,
    "take_signatures": OF_DEFENSES,
    "train_guided_prior": OF_DEFENSES,
    "invert": ("anchor.py", "gan.py", *OF_DEFENSES),
    "evaluate_evaluator": OF_DEFENSES,
    "evaluate_target": OF_DEFENSES,
    "evaluate": OF_DEFENSES,
}


@dataclass(frozen=True)
class Stage:
    """One stage of the graph, or one row of it; paths are relative to the repository's root."""

    name: str  # train_target@none-0
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.name.partition("@")[0]

    @property
    def row(self) -> str:
        return self.name.partition("@")[2]

    @property
    def script(self) -> str:
        return self.cmd.split()[1]

    def covers(self, path: str) -> bool:
        """Whether a file is a dependency, or inside one that is a folder."""
        return any(path == dep or path.startswith(f"{dep}/") for dep in self.deps)

    def makes(self, path: str) -> bool:
        return any(path == out or path.startswith(f"{out}/") for out in self.outs)

    def need_not_declare(self, path: str) -> bool:
        """Whether a source file is known by its digest, or only matters elsewhere."""
        inside = path.removeprefix("src/trapmid/")
        return inside.startswith(tuple(f"{part}/" for part in DIGESTED.get(self.kind, ()))) or (
            inside in TRAINING_ONLY.get(self.kind, ())
        )


def load(root: Path) -> dict[str, Stage]:
    """Every stage of the DVC repository at `root`, by name."""
    from dvc.dependency import ParamsDependency
    from dvc.repo import Repo

    found = {}
    with Repo(str(root)) as repo:
        for stage in repo.index.stages:
            parameters = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            found[stage.name] = Stage(
                name=stage.name,
                cmd=stage.cmd,
                deps=tuple(dep.def_path for dep in stage.deps if dep not in parameters),
                params=tuple(name for dep in parameters for name in dep.params),
                outs=tuple(out.def_path for out in stage.outs),
            )
    return found


def in_order(stages: dict[str, Stage]) -> dict[str, Stage]:
    """`stages` so that each comes after those it depends on: the kinds stand in running order."""
    kinds = [*SECTIONS, "report", "track"]
    return dict(sorted(stages.items(), key=lambda item: kinds.index(item[1].kind)))


def code(stage: Stage, study: dict[str, Any]) -> set[str]:
    """The project's files that `stage` executes, by their imports and by what its row names."""
    files = [ROOT / stage.script, *(SOURCE / name for name in _named(stage, study))]
    return {file.relative_to(ROOT).as_posix() for file in closure(*files)}


def _named(stage: Stage, study: dict[str, Any]) -> list[str]:
    """The modules that `wiring` finds by the names in a stage's row."""
    if stage.kind not in SECTIONS:
        return []
    row = study[SECTIONS[stage.kind]][stage.row]
    if stage.kind == "make_raw":
        return [f"data/{row['maker']}.py"]
    if stage.kind == "prepare_data":
        return [f"data/{row[side]['reader']}.py" for side in ("private", "public")]
    if stage.kind == "validate_data":
        return []
    names = [f"targets/{study['targets'][row['target']]['arch']}.py"] if "target" in row else []
    for key in ("guide", "knowledge"):  # a surrogate's network
        _, found, rest = str(row.get(key, "")).partition("models/surrogates/")
        if found:
            names.append(f"targets/{study['surrogates'][rest.partition('/')[0]]['arch']}.py")
    if "arch" in row:
        names.append(f"targets/{row['arch']}.py")
    # A stage that loads a target imports its defence where that altered the network.
    defended = study["targets"][row["target"]] if "target" in row else row
    if "defense" in defended:
        names.append(f"defenses/{defended['method']}.py")
    if stage.kind == "evaluate":
        names.append(f"targets/{study['evaluators'][row['evaluator']]['arch']}.py")
    if SECTIONS[stage.kind] in ("public_priors", "guided_priors"):
        names.append(f"priors/{row['method']}.py")
    if "surrogate" in row:
        names.append(f"surrogates/{row['method']}.py")
    if stage.kind == "invert":
        names.append(f"attacks/{row['method']}.py")
        kind, name = row["prior"].removeprefix("models/priors/").split("/")
        names.append(f"priors/{study[f'{kind}_priors'][name]['method']}.py")
    return names
