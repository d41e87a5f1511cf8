"""Judges between files and memory: their weights, and what they need to judge one study's attacks.

Weights lie in weights/ or, learnt from a study's public people, in models/judges; in half
precision, without a digest of their code, as initial weights do. They say from whom they were
learnt. `evaluate_judge` puts network and references into one file per
row, about one set of private people, and that file has the digests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts import checkpoints, classifiers
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.classifiers import LoadedClassifier
from trapmid.artifacts.initial import is_none
from trapmid.artifacts.lineage import Lineage, Traced
from trapmid.config import params
from trapmid.config.params import ParamsError
from trapmid.config.study import AttackRunRow
from trapmid.runtime import Runtime
from trapmid.types import Judge, Person, Reader, Verifier


@dataclass(frozen=True, kw_only=True)
class LearntFrom:
    """The people from whom a judge learnt: drawn ones, by their numbers."""

    maker: str  # module of `trapmid.data`
    seed: int  # of the drawing
    first: int
    last: int  # included

    @property
    def numbers(self) -> Collection[int]:
        """By which the study's private people are known, too."""
        return range(self.first, self.last + 1)

    @property
    def all_numbered(self) -> bool:
        """Whether `numbers` has everybody: a drawing numbers all of its people."""
        return True

    def __str__(self) -> str:
        return f"drawn people {self.first} to {self.last} of seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class LearntFromPublic:
    """The people from whom a judge learnt: public ones of a data row."""

    data: str
    people: int
    images: int
    identities: tuple[int, ...]  # numbers of those who are of the private images' source

    @property
    def numbers(self) -> Collection[int]:
        """By which the study's private people are known, too."""
        return set(self.identities)

    @property
    def all_numbered(self) -> bool:
        """Whether `numbers` has everybody; people of another source have no number there."""
        return len(self.numbers) == self.people

    def __str__(self) -> str:
        return f"{self.people} public people of {self.data} ({self.images} images)"


Whom = LearntFrom | LearntFromPublic


class Opened(NamedTuple):
    """A judge on the runtime's device, in eval mode, frozen."""

    judge: Judge
    method: str
    image_size: int  # that it was made for; it resizes others inside
    learnt_from: Whom | None  # None: nobody here trained it


class LoadedJudge(NamedTuple):
    """A judge, and what it measures attacks by."""

    judge: Judge
    reference: Mapping[str, Tensor]
    traced: Traced


class Panel(NamedTuple):
    """The judges of an attack; None: its row names none."""

    verifier: LoadedJudge | None
    identity: LoadedJudge | None
    second_evaluator: LoadedClassifier | None = None

    @property
    def traced(self) -> list[Traced]:
        """What `lineage.check_together` asks of them; none is about one target."""
        return [judge.traced._replace(target=None) for judge in self if judge is not None]


NO_JUDGES = Panel(None, None)


def save_weights(path: Path, method: str, judge: Judge, image_size: int, learnt_from: Whom) -> None:
    """Writes trained weights in half precision.

    Raises:
        CheckpointError: a weight is not finite.
    """
    state = {
        name: value.to(torch.float16) if value.is_floating_point() else value
        for name, value in judge.state_dict().items()
    }
    checkpoints.check_finite(path, state)
    checkpoints.save(
        path,
        {
            "judge": method,
            "image_size": image_size,
            "state": state,
            "learnt_from": asdict(learnt_from),
        },
    )


def open_weights(method: str, path: Path, image_size: int, rt: Runtime) -> Opened:
    """The judge `judges/<method>.py` with the weights of `path`.

    Args:
        path: what `save_weights` or `trapmid import` wrote; weights/none: the judge has weights of
            its own.
        image_size: of the study; taken by a judge that has no weights file.

    Raises:
        CheckpointError: the file is missing, damaged, of another method or of another network.
        ValueError: a judge needs weights, or a package that is not installed.
    """
    cls = wiring.judge(method)
    if is_none(path) != cls.brings_weights:
        wanted = "no file, weights/none" if cls.brings_weights else "a file with weights"
        raise ValueError(f"judge {method}: model: needs {wanted}, is {path}")
    if cls.brings_weights:
        return Opened(_frozen(cls(image_size), rt), method, image_size, None)
    content = checkpoints.load(path)
    if content.get("judge") != method:
        raise CheckpointError(f"{path}: holds a judge {content.get('judge')!r}, not {method!r}")
    learnt_from = None if "imported" in content else _whom(path, content.get("learnt_from"))
    judge = cls(content["image_size"])
    checkpoints.load_strictly(path, judge, content["state"])
    return Opened(_frozen(judge, rt), method, content["image_size"], learnt_from)


def _whom(path: Path, content: Any) -> Whom:
    kinds: tuple[type[Whom], ...] = (LearntFrom, LearntFromPublic)
    public = isinstance(content, Mapping) and "identities" in content
    try:
        return params.build(kinds[public], content, f"{path}: learnt_from")
    except ParamsError as error:
        raise CheckpointError(str(error)) from None


def truth_of(opened: Opened, table: Path, people: Sequence[Person]) -> Tensor | None:
    """What a reader is to read off images of `people`: (P, A) of `table`; None: weights/none.

    Raises:
        ValueError: the judge reads nothing, or the table does not fit it.
    """
    if is_none(table):
        return None
    if not isinstance(opened.judge, Reader):
        raise ValueError(f"judge {opened.method}: truth: it reads none; needs weights/none")
    return opened.judge.truth(table, people)


def save(path: Path, opened: Opened, reference: Mapping[str, Tensor], people: str) -> None:
    """Writes a judge with the tensors that it measures attacks by; `people`: `lineage.people_of`.

    Raises:
        CheckpointError: a tensor is not finite.
    """
    checkpoints.check_finite(path, reference)
    checkpoints.save(
        path,
        {
            "judge": opened.method,
            "image_size": opened.image_size,
            "state": opened.judge.state_dict(),
            "code": checkpoints.code_digest(opened.judge),
            "reference": dict(reference),
            "lineage": Lineage(people=people, target=None).to_content(),
        },
    )


def load(path: Path, rt: Runtime) -> LoadedJudge | None:
    """What `save` wrote; None: `path` is weights/none.

    Raises:
        CheckpointError: the file is missing, is no judge, or belongs to other code.
    """
    if is_none(path):
        return None
    content = checkpoints.load(path)
    if "judge" not in content or "reference" not in content:
        raise CheckpointError(f"{path}: not a judge of a study; `dvc repro` makes it")
    judge = wiring.judge(content["judge"])(content["image_size"])
    checkpoints.check_code(path, content, judge)
    checkpoints.load_strictly(path, judge, content["state"])
    lineage = Lineage.read(path, content)
    traced = Traced(path, lineage.people, None)
    return LoadedJudge(_frozen(judge, rt), content["reference"], traced)


def load_panel(row: AttackRunRow, rt: Runtime) -> Panel:
    """The judges that an attack's row names.

    Raises:
        CheckpointError: as `load`.
        ValueError: the one does not verify, or the other reads no parameters.
    """
    found = load(Path(row.verifier), rt), load(Path(row.identity), rt)
    kinds: tuple[type[Judge], ...] = (Verifier, Reader)
    for key, judge, kind in zip(("verifier", "identity"), found, kinds, strict=True):
        if judge is not None and not isinstance(judge.judge, kind):
            raise ValueError(f"{key}: {judge.traced.path} holds no {kind.__name__.lower()}")
    second = Path(row.second_evaluator)
    return Panel(*found, None if is_none(second) else classifiers.load(second, rt))


def _frozen(judge: Judge, rt: Runtime) -> Judge:
    return rt.place(judge).eval().requires_grad_(False)
