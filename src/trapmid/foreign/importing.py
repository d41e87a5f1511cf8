"""`trapmid import`: a published checkpoint becomes a file of weights that a row can name.

Nothing is unpickled but tensors and plain values. Every weight must find its place, and no place
may be left empty. The written file keeps where it came from: name, digest and entry of each source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trapmid import wiring
from trapmid.artifacts import checkpoints, initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.artifacts.lineage import file_digest
from trapmid.foreign import names
from trapmid.foreign.classifiers import CLASSIFIERS, STARTS, whole_classifier
from trapmid.foreign.kind import Facts, Kind
from trapmid.foreign.priors import PRIORS, block
from trapmid.metrics.inception import WEIGHTS
from trapmid.runtime import Runtime
from trapmid.training import fit
from trapmid.training.classifier import Splits

JUDGES = {
    "facenet-vggface2": Kind(
        rules=names.FACENET,
        facts=lambda state: {"judge": "facenet", "image_size": 160},
        network=lambda facts: wiring.judge("facenet")(facts["image_size"]),
    ),
}
TRIGGER, INCEPTION = "trigger", "inception"
KINDS: dict[str, Kind] = CLASSIFIERS | STARTS | PRIORS | JUDGES
NAMES = (*KINDS, TRIGGER, INCEPTION)
"""What `--as` may say."""

_INCEPTION = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
"""SHA-256 of NVIDIA's inception-2015-12-05.pt, a TorchScript file that clean-fid opens."""


_COUNTER = "num_batches_tracked"  # of batch norm: a single number in every file


class _Part(NamedTuple):
    """What one file gives."""

    kind: str
    content: Facts  # entries of the written file; `state` among them, or `trapdoor`
    source: dict[str, str | None]  # `file`, `sha256`, `entry`


def import_file(
    file: Path, kind: str, out: Path, beside: Sequence[Path], data: str | None, rt: Runtime
) -> list[str]:
    """Writes `out`, and returns what there is to say about it, line by line.

    Args:
        file: a published checkpoint.
        kind: one of `NAMES`.
        out: the file to write; whole, or not at all.
        beside: what completes it: the critic of a generator, the other students, the triggers of a
            target.
        data: a row of `data` on whose test images a classifier is scored; None: on none.
        rt: where to compute that.

    Raises:
        CheckpointError: a file is missing, damaged, not finite, or of another kind; a classifier of
            other people than `data`; triggers for one with a bottleneck; `out` is one of the files.
        OSError: `out` cannot be written.
    """
    if missing := [one for one in (file, *beside) if not one.is_file()]:
        raise CheckpointError(f"{missing[0]}: no such file")  # of others: no stage makes it
    if out.exists() and any(out.samefile(one) for one in (file, *beside)):
        raise CheckpointError(f"{out}: is read, so it cannot be written; give --out another name")
    if kind == INCEPTION:
        return _copy_inception(file, out)
    parts = [_part(file, kind)]
    for other in beside:
        parts.append(_fitting(other, kind, [part.kind for part in parts]))
    content = _joined([file, *beside], parts)
    lines = [*_told(kind, parts, content)]
    if data is not None:
        lines.append(_accuracy(file, content, data, rt))
    checkpoints.save(out, content)
    return [*lines, f"{out}: {file_digest(out)}", *_use(kind, content, out)]


# --- one file -----------------------------------------------------------------------------------


def _part(file: Path, kind: str) -> _Part:
    content = checkpoints.load_anything(file)
    source = {"file": file.name, "sha256": file_digest(file)}
    if kind == TRIGGER:
        triggers = _triggers(file, content)
        facts = {"num_classes": len(triggers), "image_size": triggers.shape[-1]}
        return _Part(kind, {**facts, "trapdoor": {"triggers": triggers}}, {**source, "entry": None})
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{file}: must hold weights by name, is a {type(content).__name__}")
    state = {name: _single(value) for name, value in initial.state_in(file, content).items()}
    facts, state = _placed(file, kind, state)
    return _Part(kind, {**facts, "state": state}, {**source, "entry": initial.entry(content)})


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _placed(file: Path, kind: str, theirs: Mapping[str, Tensor]) -> tuple[Facts, dict[str, Tensor]]:
    """What the shapes tell, and the state as the written file has it."""
    how = KINDS[kind]
    try:
        state = names.translated(theirs, how.rules)
        facts = how.facts(state)
        network = how.network(facts)
        state |= {name: network.state_dict()[name] for name in how.own_buffers}
        network.load_state_dict(state, strict=True)
    except KeyError as error:
        raise CheckpointError(f"{file}: is no {kind}: has no {error.args[0]}") from None
    except RuntimeError as error:
        raise CheckpointError(f"{file}: is no {kind}: {checkpoints.misfit(error)}") from None
    except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        single = [k for k, v in theirs.items() if v.dim() == 0 and not k.endswith(_COUNTER)]
        why = f"{single[0]} is a single number, must be a tensor with rows" if single else error
        others = ", ".join(_kinds_of(theirs, kind))
        hint = f"; its names are those of {others}" if others else ""
        raise CheckpointError(f"{file}: is no {kind}: {why}{hint}") from None
    complete = network.state_dict()  # with the counters that old files do not have
    kept = theirs if how.own_names else {how.prefix + name: v for name, v in complete.items()}
    return facts, dict(kept)


def _kinds_of(theirs: Mapping[str, Tensor], but: str) -> Iterator[str]:
    for kind, how in KINDS.items():
        try:
            names.translated(theirs, how.rules)
        except ValueError:
            continue
        if kind != but:
            yield kind


def _triggers(file: Path, content: Any) -> Tensor:
    """The one tensor (C, 3, S, S), or list of C tensors (3, S, S), that a file has; in [0, 1]."""
    if isinstance(content, Mapping):
        content = content.get("trapdoor", content)  # what this command wrote
    places = [*content.values()] if isinstance(content, Mapping) else [content]
    for one in places:
        for item in one if _is_list(one) else [one]:
            checkpoints.check_finite(file, {"triggers": item})
    stacked = [torch.stack(list(one)) if _is_list(one) else one for one in places]
    found = [one for one in stacked if isinstance(one, Tensor)]
    shapes = [tuple(one.shape) for one in found]
    if len(found) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 3 or len({*shapes[0][2:]}) != 1:
        raise CheckpointError(
            f"{file}: must hold one tensor, triggers (C, 3, S, S), holds {shapes[:3] or 'none'}"
        )
    triggers = found[0].detach().float().contiguous()
    if not triggers.numel():
        raise CheckpointError(f"{file}: triggers are {shapes[0]}, which is none; one per person")
    if triggers.min() < 0 or triggers.max() > 1:
        raise CheckpointError(
            f"{file}: triggers must lie in [0, 1], are {triggers.min():.3g} to {triggers.max():.3g}"
        )
    return triggers


def _is_list(one: Any) -> bool:
    """Whether it is a list of images (3, S, S) of one size."""
    if not isinstance(one, list | tuple) or not all(_is_image(item) for item in one):
        return False
    return len({item.shape for item in one}) == 1


def _is_image(item: Any) -> bool:
    return isinstance(item, Tensor) and item.dim() == 3 and item.shape[0] == 3


# --- several files ------------------------------------------------------------------------------


def _fitting(file: Path, kind: str, taken: Sequence[str]) -> _Part:
    """The part of a whole of `kind` that `file` is, and that is not there yet."""
    wanted = [*KINDS[kind].rest] if kind in KINDS else []
    wanted += [TRIGGER] if kind in CLASSIFIERS else []
    left = [one for one in wanted if one not in taken]
    if not left:
        raise CheckpointError(f"{file}: nothing completes {' and '.join(taken)}")
    problems = []
    for one in left:
        try:
            return _part(file, one)
        except CheckpointError as error:
            problems.append(str(error))
    raise CheckpointError("; or ".join(problems))


def _joined(files: Sequence[Path], parts: Sequence[_Part]) -> dict[str, Any]:
    """The content of the written file.

    Parts of another number of people or size are refused, and triggers beside a bottleneck.
    """
    content: dict[str, Any] = {}
    for file, part in zip(files, parts, strict=True):
        for key in ("num_classes", "image_size", "doublings", "width", "latent_dim"):
            if key in content and part.content.get(key, content[key]) != content[key]:
                raise CheckpointError(
                    f"{file}: {key} is {part.content[key]}, that of {files[0]} is {content[key]}"
                )
        state = {**content.get("state", {}), **part.content.get("state", {})}
        content |= part.content
        if content.keys() >= {"adapted", "trapdoor"}:
            raise CheckpointError(
                f"{file}: triggers, but {files[0]} has a bottleneck, and no defence has both; "
                "import it without them"
            )
        if state:
            content["state"] = state
    return content | {"imported": {part.kind: part.source for part in parts}}


def _accuracy(file: Path, content: Mapping[str, Any], data: str, rt: Runtime) -> str:
    """One line: the share of a row's test images that the classifier names."""
    if "arch" not in content:
        raise CheckpointError(f"{file}: is no classifier, so --data has nothing to score")
    private = checkpoints.load(Path(f"data/prepared/{data}/private.pt"))
    splits = Splits.of(private)
    if content["num_classes"] != splits.num_classes:
        raise CheckpointError(
            f"{file}: knows {content['num_classes']} people, data.{data} has {splits.num_classes}"
        )
    network: Any = whole_classifier(content, splits.test.images.shape[-1])
    try:
        network.load_state_dict(content["state"], strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{file}: does not fit data.{data}: {checkpoints.misfit(error)}"
        ) from None
    with rt.seeded("imported"):  # the official bottleneck draws noise
        share = fit.accuracy(rt.place(network).eval(), splits.test.to(rt.device))
    return f"accuracy on the {len(splits.test)} test images of data.{data}: {share:.4f}"


# --- what is said -------------------------------------------------------------------------------


def _told(kind: str, parts: Sequence[_Part], content: Mapping[str, Any]) -> Iterator[str]:
    for part in parts:
        entry = part.source["entry"]
        taken = "" if entry is None else f", its entry {entry!r}"
        yield f"{part.source['file']}: {part.kind}{taken}; sha256 {part.source['sha256']}"
    facts = [
        f"{key} {content[key]}"
        for key in ("arch", "prior", "judge", "num_classes", "image_size", "width", "latent_dim")
        if key in content
    ]
    yield f"{kind}: {', '.join(facts)}"


def _use(kind: str, content: Mapping[str, Any], out: Path) -> Iterator[str]:
    """How a row names the file, and what it still lacks."""
    rest = KINDS[kind].rest if kind in KINDS else ()
    if missing := [one for one in rest if one not in content["imported"]]:
        yield f"not whole: give the files of {' and '.join(missing)} by --with"
    elif kind in CLASSIFIERS:
        yield f"row: {{{_defense(content)}arch: {content['arch']}, training: given, init: {out}}}"
    elif kind in STARTS:
        yield f"row: {{arch: one of {content['start_of']}, init: {out}}}"
    elif kind in PRIORS:
        yield f"row: {{method: {content['prior']}, init: {out}, set: {block(content)}}}"
    elif kind in JUDGES:
        yield f"row: {{method: {content['judge']}, model: {out}}}"
    else:
        yield "triggers: give this file by --with when you import their target"


def _defense(content: Mapping[str, Any]) -> str:
    """What a row says of the defence that a classifier's file shows: a bottleneck or triggers."""
    if "adapted" in content:
        return f"method: {content['adapted']['method']}, "
    return "method: trapmid, block: trapdoor, " if "trapdoor" in content else ""


def _copy_inception(file: Path, out: Path) -> list[str]:
    """TorchScript is code, so it is not opened: it must be the known file, byte for byte."""
    if out.name != WEIGHTS:
        raise CheckpointError(f"{out}: clean-fid opens a file of the name {WEIGHTS}")
    content = file.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != _INCEPTION:
        raise CheckpointError(
            f"{file}: is not NVIDIA's {WEIGHTS}: sha256 {found}, not {_INCEPTION}"
        )
    checkpoints.write_atomically(out, content)
    return [f"{out}: {found}", f"evaluation: {{inception_weights: {out}}}"]
