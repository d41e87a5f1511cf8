"""The worst reconstruction: which one is shown, against a literal loop."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from trapmid.report import leaks

LABELS = torch.tensor([0, 0, 1, 1, 2])


def images(*shades):
    return torch.tensor(shades)[:, None, None, None].expand(-1, 3, 4, 4)


def made(found=(1, 1, 1, 1, 1)):
    return {
        "images": images(0.1, 0.2, 0.3, 0.4, 0.5),
        "labels": LABELS,
        "found": torch.tensor(found).bool(),
    }


def scored(hit, knn):
    return {"hit": torch.tensor(hit).bool(), "knn": torch.tensor(knn)}


PRIVATE = images(0.0, 0.22, 0.9, 0.41, 0.38, 0.5)
OWNERS = torch.tensor([0, 0, 1, 1, 1, 2])


def literal(given, judged):
    """The nearest among the recognised, or among all that were found; then the nearest pixels."""
    rows = [i for i in range(5) if given["found"][i]]
    rows = [i for i in rows if judged["hit"][i]] or rows
    best = min(rows, key=lambda i: float(judged["knn"][i]))
    own = [j for j in range(len(OWNERS)) if OWNERS[j] == given["labels"][best]]
    near = min(own, key=lambda j: float((PRIVATE[j] - given["images"][best]).square().sum()))
    return PRIVATE[near], given["images"][best], bool(judged["hit"][best])


def test_the_nearest_recognised_image_is_shown():
    for hit, knn, found in (
        ((1, 0, 1, 1, 0), (9.0, 1.0, 5.0, 4.0, 0.5), (1, 1, 1, 1, 1)),
        ((0, 0, 0, 0, 0), (9.0, 1.0, 5.0, 4.0, 0.5), (1, 1, 1, 1, 1)),
        ((1, 1, 0, 1, 0), (9.0, 1.0, 5.0, 4.0, 0.5), (1, 0, 1, 1, 0)),
    ):
        given, judged = made(found), scored(hit, knn)
        leak = leaks.nearest(PRIVATE, OWNERS, given, judged)
        private, rebuilt, recognised = literal(given, judged)
        assert torch.equal(leak.private, private) and torch.equal(leak.rebuilt, rebuilt)
        assert leak.recognised is recognised


def test_an_image_on_which_all_judges_agree_comes_first():
    judged = scored((1, 1, 1, 1, 0), (9.0, 1.0, 5.0, 4.0, 0.5))
    for agreed, shown in (((1, 0, 1, 0, 1), 2), ((0, 0, 0, 0, 1), 1), ((0, 0, 0, 0, 0), 1)):
        judged["judged"] = {"agreed": torch.tensor(agreed).bool()}
        leak = leaks.nearest(PRIVATE, OWNERS, made(), judged)
        assert torch.equal(leak.rebuilt, made()["images"][shown]) and leak.recognised
    judged["judged"] = {}  # no judge was asked
    assert torch.equal(leaks.nearest(PRIVATE, OWNERS, made(), judged).rebuilt, leak.rebuilt)


PARAMS = {
    "targets": {"t": {"data": "faces", "arch": "a", "defense": "trapmid"}},
    "attack_runs": {
        f"{attack}-{seed}": {"attack": attack, "target": "t", "data": "faces", "seed": seed}
        for attack in ("random", "gmi", "plgmi")
        for seed in (1, 0)
    },
}


def voices(plgmi, gmi, labels=LABELS):
    """Scored runs of two seeds, with the images on which all judges agree."""
    every = {f"random-{seed}": (1, 1, 1, 1, 1) for seed in (0, 1)}
    every |= {f"plgmi-{seed}": plgmi for seed in (0, 1)} | {"gmi-0": gmi[0], "gmi-1": gmi[1]}
    return {
        row: {
            "labels": labels if row.startswith("gmi") else LABELS,
            "hit": torch.ones(5, dtype=torch.bool),
            "judged": {} if own is None else {"agreed": torch.tensor(own).bool()},
        }
        for row, own in every.items()
    }


def test_the_attack_of_whose_images_all_judges_agree_on_most_is_shown():
    none, some, more = (0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (1, 1, 1, 0, 0)
    for scored, shown in (
        (voices(some, (none, more)), "gmi-1"),  # the first seed has no such image
        (voices(some, (some, more)), "gmi-0"),
        (voices(some, (some, none)), "plgmi-0"),
        (voices(some, (some, some)), "plgmi-0"),  # the strongest among equals
        (voices(none, (none, none)), "plgmi-0"),
        (voices(None, (None, None)), "plgmi-0"),  # no judge has a voice
        (voices(some, (more, more), torch.zeros(5)), "plgmi-0"),  # of one person alone
    ):
        assert leaks._shown(PARAMS, "plgmi", "trapmid", scored) == shown
    assert leaks._shown(PARAMS, None, "mid", voices(some, (none, more))) is None


def test_bytes_are_read_as_shades():
    leak = leaks.nearest(
        (PRIVATE * 255).to(torch.uint8), OWNERS, made(), scored((0, 0, 0, 1, 0), (1.0,) * 5)
    )
    assert abs(float(leak.private.mean()) - 0.41) < 1 / 255


def test_an_attack_that_found_nothing_has_none():
    assert leaks.nearest(PRIVATE, OWNERS, made((0,) * 5), scored((0,) * 5, (1.0,) * 5)) is None


def test_many_defences_go_into_bands():
    leak = leaks.Leak(PRIVATE[0], PRIVATE[1], True)
    one, two = (
        np.asarray(Image.open(io.BytesIO(leaks.picture({f"d{i}": leak for i in range(n)}))))
        for n in (6, 12)
    )
    assert two.shape[0] == 2 * one.shape[0] and two.shape[1] == one.shape[1]
