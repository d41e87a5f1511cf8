"""Names of params.yaml: parts of paths and of commands."""

from __future__ import annotations

from typing import Any

import pytest

from trapmid.config import names
from trapmid.config.params import ParamsError

HOSTILE = [
    *("a;touch marker", "$(touch marker)", "`touch marker`", "a|touch marker", "a b", "a&b"),
    *("'", '"', "../a", "a/b", "a.b", ".a", "-h", "", "a\nb", "a\n", "ä", "٣", "a@b", "a:b", "a*"),
]


@pytest.mark.parametrize("name", [*HOSTILE, None, 3])
def test_what_is_no_name_is_one_line(name: Any) -> None:
    with pytest.raises(ParamsError, match=r"^targets: the name .* must be of A-Z") as caught:
        names.check(name, "targets")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none-0", "plus_plus-trapmid_negls-0", "7", "_a", "A-"])
def test_a_name_is_letters_digits_and_two_signs(name: str) -> None:
    names.check(name, "targets")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"targets": {"a;b": {}}}, "targets: the name 'a;b' must"),
        ({"data": {"../x": {}}}, "data: the name '../x' must"),
        ({"attacks": {"a b": {}}}, "attacks: the name 'a b' must"),
        ({"classifier_training": {"$(x)": {}}}, "classifier_training: the name '$(x)' must"),
        ({"a`b": {}}, "params.yaml: the name 'a`b' must"),
        ({"profile": "../small"}, "profile: the name '../small' must"),
        ({"profile": "a..b"}, "profile: the name 'a..b' must"),
        ({"profile": "a --table 7/x"}, "profile: the name 'a --table 7/x' must"),
        ({"profile": "a --table ٣"}, "profile: the name 'a --table ٣' must"),
        ({"profile": "a  --table 7"}, "profile: the name 'a  --table 7' must"),
        ({"attack_runs": {"a": {"attack": "../a"}}}, "attack_runs.a.attack: the name '../a' must"),
        ({"targets": {"a": {"defense": None}}}, "targets.a.defense: the name None must"),
    ],
)
def test_every_place_of_a_name_is_looked_at(content: dict[str, Any], line: str) -> None:
    (found,) = names.problems(content)
    assert found.startswith(line)


def test_what_is_no_mapping_is_left_to_others() -> None:
    assert list(names.problems({"targets": None, "data": {"a": 3}, "profile": 3})) == []
    assert list(names.problems({"profile": "small.v2", "seeds": [0]})) == []
    assert list(names.problems({"profile": "small.v2 --table 12", "seeds": [0]})) == []
