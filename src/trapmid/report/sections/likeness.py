"""How much the images look like private ones: distances and neighbours, behind a click."""

from __future__ import annotations

from collections.abc import Sequence

from trapmid.report import names
from trapmid.report.averages import mean_of
from trapmid.report.blocks import Block, Fold, Line, table
from trapmid.report.findings import Findings
from trapmid.report.groups import Groups
from trapmid.report.judged import at
from trapmid.report.sections.hits import named
from trapmid.report.words import plain, rate
from trapmid.scoring.scores import AttackScores, Fidelity, JudgeScores

_TITLE = "Likeness to private images: distances, precision and recall, neighbours"
_READ = (
    "How to read it: in the evaluator's features{but}, means over seeds, of all images that were "
    "found; {kernel} and the matched Fréchet distance are of successes alone, so an attack with "
    "few of them can look better than it is. Nearer to the last line is more like real images. "
    "{kernel} and Fréchet: distances between made and private images. Precision: share of made "
    "images among the private ones. Recall: share of private images among the made ones. Density, "
    "coverage: how crowded the private images are by made ones, and how many have one near. These "
    "four are over all people together, and fewer images have wider neighbourhoods: recall rises, "
    "coverage falls; compare attacks of equally many images. "
    "Nearest private: share of images whose nearest image is a private one, among as many private "
    "as public ones; by chance 50. Covered: share of the attacked people's private images to "
    "which a reconstruction comes close. –: too few images."
)
_HEADS = (
    *("Fréchet, matched ↓", "Precision (%)", "Recall (%)"),
    *("Density", "Coverage (%)", "Nearest private (%)", "Covered (%)"),
)
_NEAREST = (
    " {name}: from a made image to its person's nearest private training image, in embeddings of "
    "length 1, squared: 0 to 4."
)
_VERIFIERS = {"facenet": "FaceNet distance", "dlib": "dlib distance"}
_OF_ANY = "Verifier distance"
"""What the distance is called: by the method of the verifiers, of another or of several as any."""
_KERNEL = {"inception": "KID", "evaluator": "Kernel distance"}
"""By the features that the study uses: only Inception's make the number a KID."""


def likeness(found: Findings) -> list[Block]:
    """The table between random latents and real test images; nothing where nobody has numbers."""
    scores = found.inputs.attack_runs
    lines = [
        _line(
            f"{names.attack(attack)}{found.marks.behind(attack, defense)} on "
            f"{names.defense(defense)}",
            *_of_runs([scores[row] for row in found.attack_runs[attack, defense]]),
        )
        for attack, groups in found.metrics["attacks"].items()
        for defense in groups
    ]
    groups = Groups.of(found.params)
    floor = _of_runs([scores[row] for row in groups.floor])
    ceiling = [found.inputs.evaluators[row].ceiling_fidelity for row in groups.evaluators]
    lines += [
        _line("floor: random latents", *floor, "reference"),
        _line("ceiling: real test images", ceiling, _nearest_of_real(found), "reference"),
    ]
    there = [line for line in lines if line is not None]
    if not there:
        return []
    features = found.params["evaluation"]["frechet_features"]
    kernel = _KERNEL[features]
    but = " (these two distances in Inception's)" if features == "inception" else ""
    read = _READ.format(kernel=kernel, but=but)
    heads: tuple[str, ...] = ("Attack and defence", f"{kernel} ↓", *_HEADS)
    if any(line.cells[-1] != "–" for line in there):
        name = _distance(found)
        heads, read = (*heads, f"{name} ↓"), read + _NEAREST.format(name=name)
    else:  # no verifier was asked
        there = [Line(line.cells[:-1], line.kind) for line in there]
    return [Fold(_TITLE, [read + found.about_marks(found.marks), table("pr", heads, there)])]


def _of_runs(rows: Sequence[AttackScores]) -> tuple[list[Fidelity | None], float | None]:
    """What of attack runs, one of each seed, stands in a line."""
    near = mean_of([at(row, "judges.verifier.nearest_image") for row in rows])
    return [row.fidelity for row in rows], near


def _verifiers(found: Findings) -> list[JudgeScores]:
    own = [found.inputs.judges[row] for row in named(found)]
    return [one for one in own if one.verifier is not None]


def _nearest_of_real(found: Findings) -> float | None:
    """By the study's first verifier."""
    first = next(iter(_verifiers(found)), None)
    nearest: float | None = None if first is None else at(first, "verifier.nearest_image")
    return nearest


def _distance(found: Findings) -> str:
    names_of = {_VERIFIERS.get(one.method, _OF_ANY) for one in _verifiers(found)}
    return names_of.pop() if len(names_of) == 1 else _OF_ANY


def _line(
    head: str, rows: Sequence[Fidelity | None], near: float | None, kind: str = ""
) -> Line | None:
    """The means of rows that are seeds of one, `near` last; None: no row has numbers."""
    own = [row for row in rows if row is not None]
    if not own:
        return None

    def mean(path: str) -> float | None:
        return mean_of([at(one, path) for one in own])

    numbers = (
        *(plain(mean("kid")), plain(mean("frechet_matched"))),
        *(rate(mean("prdc.precision"), 1), rate(mean("prdc.recall"), 1)),
        *(plain(mean("prdc.density")), rate(mean("prdc.coverage"), 1)),
        *(rate(mean("nearest_private.equal"), 1), rate(mean("covered"), 1), plain(near)),
    )
    return Line((head, *numbers), kind)
