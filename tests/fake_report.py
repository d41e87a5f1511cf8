"""The report of a study that nobody computed, and what tests of it ask: see `fake_study`."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from matplotlib.figure import Figure
from PIL import Image

import fake_study
from trapmid.report import findings, inputs, leaks, page, summary


def dot():
    """The smallest picture, for tests of words."""
    stream = io.BytesIO()
    Image.new("RGB", (1, 1)).save(stream, format="PNG")
    return stream.getvalue()


@contextmanager
def unpainted() -> Iterator[None]:
    """Charts are set up and not painted, which takes nine tenths of their time: each is a dot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda self, stream, **_: stream.write(dot()))
        yield


def faces(study):
    """The pictures of images, which a study without images has not."""
    attacks = {block["attack"] for block in study["attack_runs"].values()}
    return dict.fromkeys([leaks.PATH, *(f"figures/comparison/{a}.png" for a in attacks)], dot())


def written(root, study, failed=()):
    """The pages with empty charts, for tests of their words: drawing takes most of the time."""
    return rendered(*read(root, study, failed), OVERVIEWS | faces(study))


OVERVIEWS = {
    f"figures/{name}.png": dot() for name in ("attacks", "trade_off", "matrix", "robustness")
}


def read(root, study, failed=()):
    found = inputs.read(study, root, fake_study.signature_scores(study))
    names = ("positive_control", "floor_is_chance")
    verdicts = {name: name not in failed for name in names}
    rows = (found.evaluators, found.targets, found.attack_runs)
    return found, summary.summarise(study, *rows, verdicts)


def rendered(found, metrics, drawn):
    lines = findings.check_lines(
        found,
        metrics["checks"],
        {"positive_control": "The strongest attack succeeds."},
        {"positive_control": "strongest AA-1 0.41"},
    )
    pictures = {**found.pictures, **drawn}
    return page.render(
        findings.Findings(inputs=found, metrics=metrics, pictures=pictures, checks=lines)
    )


def first_screen(text):
    """What stands above the first section."""
    page = text.partition("<main>")[2] or text
    return page[: re.search(r"^## |<h2 ", page, re.MULTILINE).start()]


def edit_attack_run(root, row, **changes):
    path = root / f"reports/scores/attack_runs/{row}.json"
    fake_study.write_json(path, json.loads(path.read_text(encoding="utf-8")) | changes)
