"""Blocks of dvc.lock are replaced as DVC would."""

from __future__ import annotations

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml

from trapmid.engine import lock_text

HEAD = lock_text.EMPTY


def lock(**stages: int) -> str:
    """What DVC writes: a stage of each name with one output of that size."""
    entries = {
        name: {"cmd": "x", "outs": [{"path": name, "size": n}]} for name, n in stages.items()
    }
    return dumps_yaml({"schema": "2.0", "stages": entries}) if stages else HEAD


def block(name: str, size: int) -> str:
    return lock(**{name: size}).removeprefix(HEAD)


def test_the_head_is_dvcs():
    assert lock(a=1).startswith(HEAD)
    assert loads_yaml(HEAD) == {"schema": "2.0", "stages": None}


def test_a_block_takes_its_old_place():
    assert lock_text.put(lock(a=1, b=2, c=3), block("b", 5)) == lock(a=1, b=5, c=3)


@pytest.mark.parametrize("text", ["", HEAD])
def test_the_first_block_makes_the_file(text):
    assert lock_text.put(text, block("a", 1)) == lock(a=1)


def test_a_new_block_stands_last():
    assert lock_text.put(lock(b=1), block("a", 2)) == lock(b=1, a=2)


def test_new_stages_are_put_in_the_order_of_the_plan():
    text = lock(old=0, c=3, gone=1, a=1, b=2)
    ordered = lock_text.in_order(text, ["old", "gone"], ["a", "b", "old", "c"])
    assert ordered == lock(old=0, gone=1, a=1, b=2, c=3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("schema: '2.0'\nstages: {}\n", "end with 'stages:'"),
        ("schema: '2.0'\n", "end with 'stages:'"),
        (lock(a=1) + lock(a=2).removeprefix(HEAD), "twice"),
        (HEAD + "  'a b':\n    cmd: x\n", "no name of a stage"),
    ],
)
def test_another_text_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        lock_text.put(text, block("a", 1))
