"""dvc.yaml as DVC understands it, and which code a row of it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTIONS = {
    "make_raw": "raw",
    "prepare_data": "data",
    "validate_data": "data",
    "train_evaluator": "evaluators",
    "pretrain": "pretrained",
    "train_target": "targets",
    "train_public_prior": "public_priors",
    "train_surrogate": "surrogates",
    "leak_signatures": "leaks",
    "estimate_signatures": "signatures",
    "train_guided_prior": "guided_priors",
    "train_judge": "trained_judges",
    "invert": "attack_runs",
    "evaluate_evaluator": "evaluators",
    "evaluate_target": "targets",
    "evaluate_judge": "judges",
    "evaluate": "attack_runs",
}
"""The section of params.yaml whose rows a stage repeats over, in an order that can be run."""

# Code that a stage loads only to rebuild a network, and its trapdoor, from a checkpoint. It is no
# dependency: the checkpoint is one, and it carries a digest of it (`checkpoints.code_digest`).
_NETWORKS = ("targets", "nets", "defenses", "trapdoors", "injection", "objectives")
FROM_CHECKPOINTS = {
    "train_surrogate": _NETWORKS,
    "leak_signatures": _NETWORKS,
    "estimate_signatures": _NETWORKS,
    "train_guided_prior": _NETWORKS,
    "invert": ("priors", *_NETWORKS),
    "evaluate_evaluator": _NETWORKS,
    "evaluate_target": _NETWORKS,
    "evaluate": ("judges", *_NETWORKS),
}


@dataclass(frozen=True)
class Stage:
    """One stage of the graph, or one row of it; paths are relative to the repository's root."""

    name: str  # train_target@none-0
    cmd: str  # as a person writes it
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

    def from_a_checkpoint(self, module: str) -> bool:
        """Whether a module, `trapmid.targets.ir18`, is known by a checkpoint's digest."""
        return module.split(".")[1:2] != [] and (
            module.split(".")[1] in FROM_CHECKPOINTS.get(self.kind, ())
        )

    @property
    def units(self) -> set[str]:
        """The scripts and methods on whose digests it depends."""
        return {dep.removeprefix("digests/") for dep in self.deps if dep.startswith("digests/")}


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
                cmd=stage.cmd.replace('"$DVC_STAGE"', stage.name).removeprefix("exec "),
                deps=tuple(dep.def_path for dep in stage.deps if dep not in parameters),
                params=tuple(name for dep in parameters for name in dep.params),
                outs=tuple(out.def_path for out in stage.outs),
            )
    return found


def in_order(stages: dict[str, Stage]) -> dict[str, Stage]:
    """`stages` so that each comes after those it depends on: the kinds stand in running order."""
    kinds = ["code", *SECTIONS, "report", "track"]
    return dict(sorted(stages.items(), key=lambda item: kinds.index(item[1].kind)))


def units(stage: Stage, study: dict[str, Any]) -> set[str]:
    """The scripts and methods that `stage` executes, those of checkpoints left out."""
    named = {name.removesuffix(".py") for name in _named(stage, study)}
    own = {
        name for name in named if not stage.from_a_checkpoint(f"trapmid.{name}".replace("/", "."))
    }
    if stage.kind in ("train_evaluator", "pretrain", "train_target", "train_surrogate"):
        row = study[SECTIONS[stage.kind]][stage.row]
        own.add(f"targets/{row['arch']}")  # it makes this network; others it may load
    return own | {f"stages/{Path(stage.script).stem}"}


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
    for key in ("queried_model", "side_information"):  # a surrogate's network
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
        names.append(f"attacks/{row['method']}.py")  # how its code scores it
        names += [
            f"judges/{study['judges'][Path(row[key]).stem]['method']}.py"
            for key in ("verifier", "identity")
            if row[key] != "weights/none"
        ]
        if row["second_evaluator"] != "weights/none":
            second = Path(row["second_evaluator"]).parent.name
            names.append(f"targets/{study['evaluators'][second]['arch']}.py")
    if stage.kind in ("train_judge", "evaluate_judge"):
        names.append(f"judges/{row['method']}.py")
    if SECTIONS[stage.kind] in ("public_priors", "guided_priors"):
        names.append(f"priors/{row['method']}.py")
    if "surrogate" in row:
        names.append(f"surrogates/{row['method']}.py")
    if stage.kind == "invert":
        names.append(f"attacks/{row['method']}.py")
        kind, name = row["prior"].removeprefix("models/priors/").split("/")
        names.append(f"priors/{study[f'{kind}_priors'][name]['method']}.py")
    return names
