"""Which data a row's run used, and by what they are known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmid.artifacts import results
from trapmid.tracking.values import tensor_spec

_CONTEXT = {"judges": "evaluation"}  # other rows learn from their data


@dataclass(frozen=True, kw_only=True)
class DataUsed:
    """A row of `data`, as a data set of MLflow's: nothing of it is read."""

    name: str
    digest: str  # DVC's of its manifest, which has a digest of every image
    context: str  # training, attack or evaluation
    image_size: int
    counts: dict[str, int]  # people, and images by split

    @property
    def folder(self) -> str:
        """Where the prepared images are, seen from the project."""
        return f"data/prepared/{self.name}"

    @property
    def images(self) -> str:
        """MLflow's schema of them."""
        return tensor_spec("uint8", -1, 3, self.image_size, self.image_size)


def data_used(
    params: Mapping[str, Any], root: Path, section: str, row: str, lock: Mapping[str, str]
) -> tuple[DataUsed, ...]:
    """The data of one row; one that DVC has not recorded is left out.

    Args:
        params: params.yaml.
        root: its folder.
        section: of the row.
        row: its name.
        lock: see `lock_digests`.

    Raises:
        ResultError: the contract of the data is malformed.
    """
    found = contexts(params, section, row)
    return tuple(
        DataUsed(
            name=name,
            digest=lock[manifest(name)],
            context=context,
            image_size=int(params["data"][name]["image_size"]),
            counts=counts(root, name),
        )
        for name, context in found.items()
        if manifest(name) in lock
    )


def contexts(params: Mapping[str, Any], section: str, row: str) -> dict[str, str]:
    """What each row of `data` was used for; one that has several uses has the first of them.

    An attack is on the people that the target learnt, is scored on those of the evaluator, and
    searches with a prior of public images.
    """
    block = params[section][row]
    if section != "attack_runs":
        return {block["data"]: _CONTEXT.get(section, "training")}
    found = {params["targets"][block["target"]]["data"]: "attack"}
    for data in (block["data"], params["evaluators"][block["evaluator"]]["data"]):
        found.setdefault(data, "evaluation")
    kind, _, prior = str(block["prior"]).removeprefix("models/priors/").partition("/")
    if learnt := params.get(f"{kind}_priors", {}).get(prior):
        found.setdefault(learnt["data"], "training")
    return found


def manifest(data: str) -> str:
    """The file by whose digest a row of `data` is known."""
    return f"data/prepared/{data}/manifest.csv"


def counts(root: Path, data: str) -> dict[str, int]:
    """How many people and images there are, by the data contract; empty: it was not written.

    Raises:
        ResultError: it is malformed.
    """
    file = root / "reports" / "data" / f"{data}.json"
    if not file.exists():
        return {}
    return {name: int(n) for name, n in results.read_json(file).get("counts", {}).items()}


def lock_digests(root: Path) -> dict[str, str]:
    """MD5 by path of what stages made, as DVC recorded it; empty where there is no dvc.lock.

    What a stage read may stand there with an older digest, in the block of a row that is gone. It
    is searched as text, since reading a large one as YAML takes seconds.
    """
    lock = root / "dvc.lock"
    if not lock.exists():
        return {}
    text = lock.read_text(encoding="utf-8")
    made = "\n".join(re.findall(r"^    outs:\n((?:    [- ] .*\n)+)", text, re.MULTILINE))
    return dict(re.findall(r"path: (\S+)\n +hash: md5\n +md5: (\w+)\n", made))
