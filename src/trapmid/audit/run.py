"""An audit from its command line to its page."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trapmid import wiring
from trapmid.artifacts import results
from trapmid.artifacts.lineage import file_digest
from trapmid.audit import model, people
from trapmid.audit.folder import MODEL, Folder
from trapmid.audit.people import Private
from trapmid.config.evaluation import STRANGER
from trapmid.data import links
from trapmid.nets.snresnet import resolution_plan
from trapmid.report import names
from trapmid.ui import open_page

_MOST = 100_000  # images of a person that the contract allows
_UNEVEN = 3  # times the images of the person in the middle
_SEEKING = "lomma_gmi_plus-*"  # seeks features, which a model may not return
_TWINS = 100
"""One in so many private images may be public, too, saved again: photographs of people are often
under two names, and so few teach an attacker nothing."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What an audit is asked for."""

    model: Path
    private: Path
    public: Path
    min_images: int  # people with fewer are left out
    most_images: int | None  # of a person with more so many are drawn; None: all are used
    image_size: int | None  # None: the one for which the program was exported
    classes: Path | None  # the names of the model's outputs, a line each; None: sorted names
    profile: str  # the profile under the audit's own
    verifier: str | None  # a judge that brings its weights; None: as the profile says
    force: bool


def prepare(request: Request, folder: Folder) -> None:
    """Tries the model, looks at the images, and writes the study; nothing is written before.

    Raises:
        ValueError: something does not fit; one line.
        CheckpointError: no network can be made of the model's file.
    """
    folder.check(force=request.force)
    for faces in (request.private, request.public):
        links.check(faces)
    own = people.private(request.private, request.min_images)
    public = people.check_public(request.public)
    if own.left_out:
        print(f"left out: {_people(len(own.left_out))} with under {request.min_images} images")
    print(balance(own, request.most_images))
    size = request.image_size or model.size_of(request.model)
    resolution_plan(size)  # of every prior of an audit: it would stop hours later
    if request.verifier is not None:  # likewise: what it needs may not be installed
        wiring.judge(request.verifier)(size)
    given = model.tried(request.model, size)
    features = model.has_features(given.content, size)
    order = people.order_of(own, request.classes, given.outputs)
    content = model.reordered(given, order, size)
    if dropped := given.outputs - len(order):
        print(
            f"the model knows {dropped} of the people who are left out: "
            f"{'this output is' if dropped == 1 else 'these outputs are'} dropped"
        )
    right = model.check_knows(content, people.probes(own, size))
    print(
        f"{request.model} names {right:.0%} of the first images of {len(own.names)} people "
        f"({size} pixels)"
    )
    if right < STRANGER:
        print(
            f"warning: under {STRANGER:.0%}; it has learnt some of these images and should know "
            "most: are they cut as it got them, and its outputs in the order of the names "
            "(--classes)?",
            file=sys.stderr,
        )
    if not features:
        print(f"{request.model} returns no features: LOMMA gets less of it (docs/own-model.md)")
    overlay = profile(request, own, public, size, features=features, dropped=dropped)
    if not features and _SEEKING in folder.rows(request.profile, "attack_runs"):
        overlay["attack_runs"] = {_SEEKING: None}
    if folder.is_of_another(content):
        print(f"{folder.path} was the audit of another model file: its results are replaced")
    places = {"data/external/private": request.private, "data/external/public": request.public}
    folder.write(overlay, content, places)
    print(f"{folder.path / 'params.yaml'} is the study, {folder.path / MODEL} the model")


def profile(
    request: Request, own: Private, public: str, size: int, *, features: bool, dropped: int
) -> dict[str, Any]:
    """The profile `study`: what differs from `request.profile`.

    Args:
        features: whether the model returns any. Without them LOMMA's regulariser would draw the
            logits, which the search is to raise, to those of strangers, so it is switched off.
        dropped: how many outputs of the model stand for people who are left out.
    """
    row = {
        "private": {"reader": own.reader, "path": "data/external/private"},
        "public": {"reader": public, "path": "data/external/public"},
        "image_size": size,
        "identities": len(own.names),
        "min_images": request.min_images,
        # Whatever the profile's own data say: labels are in the order that `people.private` has.
        "private_order": "number",
        "max_images": None,
        "images_each": request.most_images,
        "public_near_twins": _drawn(own, request.most_images) // _TWINS,
        "lists": None,
    }
    made: dict[str, Any] = {"base": request.profile, "data": {"faces": row}}
    # The audit attacks a copy whose outputs may be in another order: the page names this file.
    made["audit"] = {
        "sha256": file_digest(request.model),
        "left_out": len(own.left_out),
        "dropped": dropped,
    }
    # The contract of the profile would refuse, halfway, whom the command let in.
    least = min(request.min_images, request.most_images or request.min_images)
    made["validation"] = {"images_per_class": [least, _MOST]}
    if request.verifier is not None:
        made["judges"] = {
            "verifier": {"method": request.verifier, "model": "weights/none", "seed": 0}
        }
        made["defaults"] = {"attack_runs": {"verifier": "data/features/judges/verifier.pt"}}
    if not features:
        made["attacks"] = {"lomma": {"feature_weight": 0.0}}
    return made


def _people(count: int) -> str:
    return f"{count} {'person' if count == 1 else 'people'}"


def _drawn(own: Private, most: int | None) -> int:
    """How many private images the study draws."""
    return sum(min(len(one), most or len(one)) for one in own.entries)


def balance(own: Private, most: int | None) -> str:
    """How many images the people have, and what it means where one has many more than others."""
    counts = sorted(len(entries) for entries in own.entries)
    several = f"{counts[0]} to {counts[-1]} images" if counts[0] < counts[-1] else ""
    line = f"{len(counts)} people with {several or f'{counts[0]} images each'}"
    if most is not None and counts[-1] > most:
        return f"{line}, of which {most} at most are drawn"
    if counts[-1] <= _UNEVEN * counts[len(counts) // 2]:
        return line
    return (
        f"{line}; one has {counts[-1] / sum(counts):.0%} of all. The evaluator and the control "
        "learn that person first, and test accuracy is mostly about that person; "
        f"--most-images {counts[len(counts) // 2]} would draw as many of everybody"
    )


def execute(folder: Folder, *, browse: bool) -> None:
    """Runs the study with DVC, which goes on where it was, then says and shows what came out.

    Raises:
        AuditError: a stage failed.
    """
    folder.run()
    print("\n".join(summary(results.read_json(folder.path / "reports" / "metrics.json"))))
    print(f"The page: {folder.report}")
    if browse:
        open_page(folder.report.as_uri())


def summary(metrics: dict[str, Any]) -> list[str]:
    """What an audit found, a line each.

    Args:
        metrics: the content of reports/metrics.json.
    """
    broken = {(a, d) for d, worst in metrics["worst"].items() for a in worst["failed"]}
    lines = [
        f"{names.attack(attack)} on {names.defense(defense)}: {_rate(means)}"
        + "*" * ((attack, defense) in broken)
        for attack, groups in metrics["attacks"].items()
        for defense, means in groups.items()
    ]
    if broken:
        lines.append("*: a check of the attack failed; the page says what that means")
    ends = metrics["references"]
    lines.append(f"floor (random faces): {_rate(ends['floor'])}")
    lines.append(f"ceiling (real test images): {_rate(ends['ceiling'])}")
    failed = [name for name, passed in metrics["checks"].items() if not passed]
    if failed:
        lines.append(f"checks that failed: {', '.join(failed)}; the page says what that means")
    return lines


def _rate(means: dict[str, Any]) -> str:
    """AA-1 with its interval, in percent."""
    ends = means.get("intervals", {}).get("aa1")
    within = "" if ends is None else f" ({100 * ends['low']:.1f} to {100 * ends['high']:.1f})"
    return "none" if means["aa1"] is None else f"AA-1 {100 * means['aa1']:.1f} %{within}"


def default_folder(path: Path) -> Path:
    """Where the audit of a model goes unless it is told."""
    return Path("audits") / people.plain(path.stem)
