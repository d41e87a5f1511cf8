"""The whole of params.yaml, checked before anything runs: one line for every problem.

A stage builds what it needs itself, and refuses it hours after the study began; here every row and
every block is built, and what a row names must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trapmid import wiring
from trapmid.config import evaluation, names, params, study
from trapmid.config.params import ParamsError
from trapmid.profiles import favourites, kinship, references, signatures, sizes, starts
from trapmid.profiles.sections import AUDIT, BLOCKS, CLASSIFIERS, NO_DEFENSES, defenses
from trapmid.profiles.seeds import check_rows
from trapmid.types import Defense

SINGLE: dict[str, type[Any]] = {
    "validation": study.Validation,
    "inversion": study.Inversion,
    "evaluation": evaluation.Evaluation,
    "checks": evaluation.Checks,
    "gate": evaluation.Gate,
}
"""Sections that are one block."""

BUILDERS: dict[str, Callable[[str, Any, str], Any]] = {
    "evaluators": wiring.defense,
    "pretrained": wiring.defense,
    "targets": wiring.defense,
    "public_priors": wiring.prior_training,
    "surrogates": wiring.surrogate,
    "guided_priors": wiring.prior_training,
    "trained_judges": wiring.judge_training,
    "attack_runs": wiring.attack,
}
"""Section of rows -> how the method of one of its rows is built."""

_METHODS = {
    **dict.fromkeys(CLASSIFIERS, "defenses"),
    **dict.fromkeys(("public_priors", "guided_priors"), "priors"),
    **dict.fromkeys(("trained_judges", "judges"), "judges"),
    "surrogates": "surrogates",
    "attack_runs": "attacks",
}
"""Section of rows -> the folder that has a row's method."""

_PLACES = {
    "queried_model": ("models/targets/", "models/surrogates/"),
    "prior": ("models/priors/public/", "models/priors/guided/"),
    "side_information": ("weights/none", "models/signatures/", "models/surrogates/"),
    "leak": ("weights/none", "models/leaks/"),
    "verifier": ("weights/none", "data/features/judges/"),
    "identity": ("weights/none", "data/features/judges/"),
    "second_evaluator": ("weights/none", "models/evaluators/"),
}
"""Key of a row -> what its path must begin with."""


def problems(text: str, path: str = "params.yaml") -> list[str]:
    """What is wrong in the text of a params.yaml, one line each; empty: nothing.

    Args:
        text: of the whole file.
        path: what the file is called, where it is wrong as a whole.
    """
    try:
        content = params.parse(text, path)
        for name in ("profile", "seeds", *NO_DEFENSES):
            params.section(content, name)
    except ParamsError as error:
        return [str(error)]
    if broken := [
        f"{name}: must be a mapping, is {content[name]!r}"
        for name in NO_DEFENSES
        if not isinstance(content[name], Mapping)
    ]:
        return broken
    if wrong := [*names.problems(content)]:
        return wrong
    found = [*_singles(content), *_blocks(content), *_rows(content)]
    # What a row refers to is followed only where it is there.
    if found:
        return list(dict.fromkeys(found))
    parts = (kinship, favourites, signatures, sizes)
    more = (line for part in parts for line in part.problems(content))
    return list(dict.fromkeys([*_drawn(content), *more]))


def block_problems(text: str) -> list[str]:
    """What is wrong in the blocks of a profile's text, one line each; `compose` drops the unused.

    A wrong name would otherwise change nothing, without a word.
    """
    try:
        content = params.parse(text, "profile")
        for section in BLOCKS:
            params.section(content, section)
    except ParamsError as error:
        return [str(error)]
    return list(_blocks(content))


def _complaint(call: Callable[..., Any], *arguments: Any) -> Iterator[str]:
    """The message of a call that refuses its arguments."""
    try:
        call(*arguments)
    except ValueError as error:
        yield str(error)


def _singles(content: Mapping[str, Any]) -> Iterator[str]:
    """Seeds, the sections of one block, and whom the gate takes for a control."""
    yield from _complaint(check_rows, content)
    if not isinstance(content["profile"], str):
        yield f"profile: must be a name, is {content['profile']!r}"
    for name, cls in SINGLE.items():
        yield from _complaint(params.build, cls, content[name], name)
    if AUDIT in content:
        yield from _complaint(params.build, evaluation.Audited, content[AUDIT], AUDIT)
    known = defenses(content)
    controls = content["gate"].get("controls")
    for control in controls if isinstance(controls, list) else ():
        if str(control) not in known:
            yield f"gate.controls: no defence {control!r}; there are {_listed(known)}"


def _drawn(content: Mapping[str, Any]) -> Iterator[str]:
    """Rows of `data` that draw fewer images of a person than the data contract asks for."""
    least = content["validation"]["images_per_class"][0]
    for name, row in content["data"].items():
        most = row.get("images_each")
        if most is not None and most < least:
            yield (
                f"data.{name}.images_each: {most} is under {least}, the least of "
                "validation.images_per_class"
            )


def _blocks(content: Mapping[str, Any]) -> Iterator[str]:
    """The blocks themselves, those included on which no row is built."""
    for name, block in content["classifier_training"].items():
        yield from _complaint(
            params.build, study.ClassifierTraining, block, f"classifier_training.{name}"
        )
    for section, build in (
        ("prior_training", wiring.prior_training),
        ("surrogate_training", wiring.surrogate),
        ("judge_training", wiring.judge_training),
        ("attacks", wiring.attack),
    ):
        for name, block in content[section].items():
            yield from _complaint(build, name, block, f"{section}.{name}")
    for name in set(wiring.names("defenses")) & set(content):
        yield from _complaint(wiring.defense, name, content[name], name)


def _rows(content: Mapping[str, Any]) -> Iterator[str]:
    for section, cls in study.ROWS.items():
        for name, row in content[section].items():
            place = f"{section}.{name}"
            wrong = [*_complaint(params.build, cls, row, place)]
            yield from wrong or _row(content, section, name, row)


def _row(
    content: Mapping[str, Any], section: str, name: str, row: Mapping[str, Any]
) -> Iterator[str]:
    """One row whose keys and types are right: what it names, and its method."""
    place = f"{section}.{name}"
    for key, other in references.NAMED.items():
        if key in row and row[key] not in content[other]:
            yield f"{place}.{key}: no {row[key]!r} in {other}; there are {_listed(content[other])}"
    for key, value in references.texts(row):
        yield from _text(content, f"{place}.{key}", value)
    for key, allowed in _PLACES.items():
        if key in row and not row[key].startswith(allowed):
            yield f"{place}.{key}: {row[key]!r} begins with none of {', '.join(allowed)}"
    unknown = [*_modules(section, place, row)]
    yield from unknown
    if unknown:
        return
    if "arch" in row:
        yield from _complaint(_network, section, place, row["arch"])
        yield from starts.problems(content, place, row)
    if section == "raw":
        yield from _complaint(wiring.maker, row["maker"], row["options"], f"{place}.options")
    if section == "data":
        for side in ("private", "public"):
            yield from _complaint(wiring.reader, row[side]["reader"])
    if section == "judges":
        yield from _complaint(wiring.judge, row["method"])
    if section in BUILDERS:
        yield from _complaint(_method, content, section, name)


def _modules(section: str, place: str, row: Mapping[str, Any]) -> Iterator[str]:
    """The modules that a row names by a word: those that are not there."""
    named = {"arch": ("targets", row.get("arch")), "maker": ("data", row.get("maker"))}
    if section in _METHODS:
        named["method"] = (_METHODS[section], row["method"])
    if section == "data":
        named |= {f"{side}.reader": ("data", row[side]["reader"]) for side in ("private", "public")}
    for key, (folder, module) in named.items():
        if module is not None and module not in wiring.names(folder):
            known = ", ".join(wiring.names(folder))
            yield f"{place}.{key}: no {module!r} in src/trapmid/{folder}; there are {known}"


def _network(section: str, place: str, arch: str) -> None:
    """A network without gradients judges; attacked, it would seem to be a perfect defence."""
    network = wiring.target(arch)
    if section != "evaluators" and not getattr(network, "differentiable", True):
        raise ValueError(f"{place}.arch: {arch} has no gradient: it can be an evaluator alone")


def _method(content: Mapping[str, Any], section: str, name: str) -> None:
    row = content[section][name]
    try:
        block = params.of_row(content, section, name)
    except ParamsError as error:
        # `trapmid profile` writes the blocks of a profile's own rows, and no other.
        raise ParamsError(
            f"{error}; {section}.{name} needs it: add that row to a profile, or the block here"
        ) from None
    made = BUILDERS[section](row["method"], block, block.where)
    if section in CLASSIFIERS:
        _join(content, f"{section}.{name}", made, row["training"])


def _join(content: Mapping[str, Any], place: str, defense: Defense, training: str) -> None:
    """Whether a row's defence can be part of its training; another line says where that is none."""
    try:
        section = params.section(content, f"classifier_training.{training}")
        plan = params.build(study.ClassifierTraining, section, training)
    except ParamsError:
        return
    try:
        defense.check_training(plan.batch_size, plan.precision)
    except ValueError as error:
        said = str(error).replace("_training.*", f"_training.{training}")
        raise ParamsError(f"{place}: {said}") from None


def _text(content: Mapping[str, Any], place: str, value: str) -> Iterator[str]:
    """A path, a name or another text of a row."""
    if not value:
        yield f"{place}: is empty"
    if ":" in value:  # DVC writes a row without quotes, and then cannot read it
        yield f"{place}: {value!r} has a colon, which `dvc exp run -S` cannot keep"
    made = references.made_by(value)
    if made is not None and made.row not in content[made.section]:
        known = _listed(content[made.section])
        yield f"{place}: no {made.row!r} in {made.section}; there are {known}"


def _listed(names: Any) -> str:
    return ", ".join(sorted(map(str, names))) or "none"
