"""The folder: params.yaml, the data and the weights that its rows name, what a run will take."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from trapmid.doctor.finding import Finding
from trapmid.profiles import preflight

_PARAMS = "params.yaml"
_DRAWN = "data/raw/"  # stages write here, ...
_MADE = ("data/", "models/")  # ... and here
_OF_USERS = ("data/external/", "models/external/")  # but not here
_NO_FILE = {
    "random": "none by choice",
    "none": "none by choice",
    "torchvision": "torchvision's, fetched when they are first needed",
}
_KEYS = ("init", "model", "truth", "verifier", "identity", "second_evaluator", "side_information")
_PLACED = {"celeba": "celeba", "lfw": "lfw"}  # reader: what `trapmid data` calls it
_TIMM = "timm "  # before the name of weights of timm's, see weights/README.md
_MAKES = {
    "facenet": "`trapmid import FILE --as facenet-vggface2 --out {}` makes it (docs/reproduce.md)",
    "style": "`trapmid convert-stylegan FILE --out {}` makes it (docs/attacks.md)",
}
"""Method -> what makes its weights of a published file."""
_SHOWN = 3

TIMES = {
    "small": "9 min 55 s with `make repro` on two slow cores, 14 min 57 s on a busier machine",
    "digits": "100 s on two idle cores",
    "attacks": "about two hours with JOBS=2 on two cores",
    "attacks_seeds": "about three hours with JOBS=2 on two cores, without PPA and IF-GMI",
    "attacks_sweep": "20 min on two cores",
    "wide": "under half an hour a seed on two cores",
}
"""What profiles took, by README.md and docs/machines.md; said until `trapmid plan` has measured."""


def params(home: Path) -> Iterator[Finding]:
    """Whether all of params.yaml can be built."""
    file = home / _PARAMS
    if not file.is_file():
        text = f"{_PARAMS}: no such file"
        yield Finding("params", text, "missing", "run this at the root; `trapmid profile small`")
        return
    found = preflight.problems(file.read_text(encoding="utf-8", errors="replace"))
    for problem in found[:_SHOWN]:
        yield Finding("params", problem, "missing", "`trapmid check` lists all that is wrong")
    if not found:
        study = _read(home)
        seeds = ", ".join(map(str, study.get("seeds", [])))
        runs = len(study["attack_runs"])
        yield Finding("params", f"profile {study['profile']}, seeds {seeds}, {runs} attack runs")


def data(home: Path) -> Iterator[Finding]:
    """The folders of every row of `data`."""
    places: dict[str, tuple[str, str]] = {}
    for name, row in _read(home)["data"].items():
        for side in ("private", "public"):
            places.setdefault(row[side]["path"], (name, row[side]["reader"]))
    for path, (name, reader) in places.items():
        where = home / path
        if where.is_dir() and any(where.iterdir()):
            yield Finding("data", f"{name}: {path} is there")
        elif path.startswith(_DRAWN):
            yield Finding("data", f"{name}: `dvc repro` makes {path}")
        else:
            remedy = _way_to(where, path, reader)
            yield Finding("data", f"{name}: {path} is not there", "missing", remedy)


def _way_to(where: Path, path: str, reader: str) -> str:
    if where.with_name(f"{where.name}.dvc").is_file():  # docs/sharing.md
        return f"`dvc pull {path}`"
    if reader in _PLACED:
        return f"`trapmid data {_PLACED[reader]} --from PATH`"
    return "see docs/celeba.md for the layout"


def weights(home: Path) -> Iterator[Finding]:
    """The files that rows start from or judge by, apart from those that stages make."""
    study = _read(home)
    named: dict[str, _Place] = {}
    for value, place in _named(study):
        if isinstance(value, str) and "/" in value and not _is_made(value):
            named.setdefault(value, place)
    for path, place in sorted(named.items()):
        yield _weights(home / path, path, place, study)


class _Place(NamedTuple):
    """The part of params.yaml that names a file."""

    section: str
    row: str
    key: str

    def __str__(self) -> str:
        return f"{self.section}.{self.row}"


def _named(study: Mapping[str, Any]) -> Iterator[tuple[object, _Place]]:
    """What may be the path of a file, and where it stands."""
    for section, rows in study.items():
        for name, row in rows.items() if isinstance(rows, Mapping) else ():
            for key in _KEYS if isinstance(row, Mapping) else ():
                yield row.get(key), _Place(section, name, key)
    inception = "inception_weights"
    yield study["evaluation"][inception], _Place("evaluation", inception, inception)


def _is_made(path: str) -> bool:
    return path.startswith(_MADE) and not path.startswith(_OF_USERS)


def _weights(file: Path, path: str, place: _Place, study: Mapping[str, Any]) -> Finding:
    if file.is_dir():
        return _model_folder(file, path)
    if not file.is_file():
        remedy = _way_to_get(path, place, study)
        return Finding("weights", f"{path}: no such file ({place})", "missing", remedy)
    if (word := _word(file)) is not None:
        return Finding("weights", f"{path}: {word}")
    sums = file.with_name("SHA256SUMS")
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    known = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if file.name not in known:
        return Finding("weights", f"{path}: {file.stat().st_size / 1e6:.1f} MB")
    if hashlib.sha256(file.read_bytes()).hexdigest() != known[file.name]:
        text = f"{path}: its digest is not that of SHA256SUMS"
        return Finding("weights", text, "missing", f"`git checkout {path}`")
    return Finding("weights", f"{path}: there, its digest is right")


def _model_folder(folder: Path, path: str) -> Finding:
    """A folder of one Python file and its state, which `init` may name (docs/own-model.md)."""
    sources = sorted(one.name for one in folder.glob("*.py"))
    if len(sources) != 1:
        text = f"{path}: a folder of {len(sources)} Python files"
        return Finding("weights", text, "missing", "one makes the network: see docs/own-model.md")
    return Finding("weights", f"{path}: a folder with {sources[0]}")


def _way_to_get(path: str, place: _Place, study: Mapping[str, Any]) -> str:
    """What to do about a file that is not there."""
    remedy = f"put it there, or give {place} another"
    if place.section == "judges" and place.key == "model":
        method = study["judges"][place.row]["method"]
        return _MAKES.get(method, remedy).format(path)
    if place.key != "init":
        return remedy
    row = study[place.section][place.row]
    if place.section in ("public_priors", "guided_priors"):
        taken_as_it_is = _steps(study, place) == 0
    else:
        plan = study["classifier_training"].get(row.get("training"), {})
        taken_as_it_is = plan.get("epochs") == 0
    if taken_as_it_is:  # of random weights nothing would be learnt
        return _MAKES.get(row["method"], remedy).format(path)
    return f"{remedy}; weights/random is a choice, too"


def _steps(study: Mapping[str, Any], place: _Place) -> int:
    from trapmid.config import params as parameters

    steps: int = parameters.of_row(study, place.section, place.row)["steps"]
    return steps


def _word(file: Path) -> str | None:
    """What the words of a file stand for; None: it holds weights."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.stat().st_size < 64 else ""
    if text.startswith(_TIMM):
        name = text.removeprefix(_TIMM).strip()
        return f"timm's {name}, from the local cache of the Hugging Face hub"
    return _NO_FILE.get(text.strip())


class _Extra(NamedTuple):
    """Packages that pyproject.toml calls optional."""

    modules: tuple[str, ...]
    what: str
    needed_by: frozenset[str]  # methods of judges, and networks, that cannot do without


_EXTRAS = {
    "faces": _Extra(
        ("dlib", "face_recognition_models"),
        "dlib's recogniser, a judge and an evaluator of photographs",
        frozenset({"dlib", "dlib_head"}),
    ),
    "highres": _Extra(
        ("timm",),
        "networks of timm",
        frozenset({"densenet169", "inception_v3", "resnest101", "resnet152"}),
    ),
    "robustness": _Extra(("pyautoattack",), "AutoAttack's own code, to compare with", frozenset()),
    "scale": _Extra(
        ("distributed", "dask_jobqueue"), "`trapmid run` beyond one machine", frozenset()
    ),
}


def packages(home: Path) -> Iterator[Finding]:
    """Optional packages; what a row needs is missing where it is not there, others are told of."""
    study = _read(home) if (home / _PARAMS).is_file() else {}
    sections = ("judges", "trained_judges", "evaluators", "pretrained", "targets", "surrogates")
    rows = [row for section in sections for row in study.get(section, {}).values()]
    named = {row.get(key) for row in rows for key in ("method", "arch", "teacher")}
    for name, extra in _EXTRAS.items():
        if all(find_spec(module) for module in extra.modules):
            yield Finding("packages", f"{name}: {extra.what}")
        elif needs := ", ".join(sorted(extra.needed_by & named)):
            text = f"{name} is not installed, and this study needs it ({needs})"
            yield Finding("packages", text, "missing", f"`pip install --editable '.[{name}]'`")
        else:
            yield Finding("packages", f"{name} is not installed, nor needed here: {extra.what}")


def times(home: Path) -> Iterator[Finding]:
    """What a run takes: as it was planned or measured, and what the last one here took."""
    study = _read(home)
    profile = str(study["profile"])
    measured = TIMES.get(profile, f"`trapmid plan {profile}` measures what it takes here")
    yield Finding("time", f"profile {profile}: {_planned(home, study) or measured}")
    files = sorted((home / "reports" / "training").rglob("stats.json"))
    stats = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    if stats:
        seconds = sum(one["seconds"] for one in stats)
        most = max(one["peak_memory_mb"] for one in stats) / 1024
        text = f"the {len(stats)} trainings in reports/training took {seconds / 60:.0f} min"
        yield Finding("time", f"{text} and {most:.1f} GiB of memory at most")


def _planned(home: Path, study: Mapping[str, Any]) -> str | None:
    """By throughputs of this machine that were measured before; None: some are not known."""
    from trapmid.engine import session
    from trapmid.planning import plan, throughputs
    from trapmid.runtime import choose_device

    device = choose_device()
    together = session.shares("auto", None, device.type, os.environ)
    for (jobs, threads), how in ((together, " --jobs auto"), ((None, None), "")):
        known = throughputs.ThisMachine(
            device, home / throughputs.KEPT, frozen=True, jobs=jobs, threads=threads
        )
        found = plan.plan(study, known, jobs)
        if known.start() and known.drawing() and not found.untimed:
            memory = f"{(jobs or 1) * found.megabytes / 1024:.1f} GiB of memory at most"
            return f"{found.clock / 60:.0f} min by `trapmid plan{how}`, and {memory}"
    return None


def _read(home: Path) -> dict[str, Any]:
    from trapmid.config import params as parameters

    return parameters.read(home / _PARAMS)
