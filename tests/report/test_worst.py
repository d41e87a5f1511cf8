"""Which attack is the worst case, of tables written by hand."""

from __future__ import annotations

from trapmid.report.worst import strongest, worst_case

SCORES = {"aa1": 0.2, "aa5": 0.3}
NOT_RUN = {"aa1": None, "aa5": None}
ALL = {"aa1": 1.0, "aa5": 1.0}


def test_the_first_among_equals() -> None:
    tied = {"b": {"x": {"aa1": 0.5, "aa5": 1.0}}, "a": {"x": {"aa1": 0.5, "aa5": 0.9}}}
    assert worst_case(tied, "x")["attack"] == "b"


def test_aa5_is_that_of_the_attack_of_the_highest_aa1() -> None:
    table = {"a": {"x": {"aa1": 0.4, "aa5": 0.9}}, "b": {"x": {"aa1": 0.5, "aa5": 0.6}}}
    found = worst_case(table, "x")
    assert (found["attack"], found["aa1"], found["aa5"]) == ("b", 0.5, 0.6)


def test_where_nothing_ran_there_is_none() -> None:
    nothing = {"attack": None, "aa1": None, "aa5": None, "attacks": 0, "failed": []}
    assert worst_case({"a": {"x": SCORES}}, "y") == nothing
    assert worst_case({"a": {"x": NOT_RUN}}, "x") == nothing


def test_a_part_of_the_people_ranks_behind_all() -> None:
    table = {"a": {"x": SCORES}, "b": {"x": ALL}, "c": {"x": SCORES}}
    assert worst_case(table, "x")["attack"] == "b"
    assert worst_case(table, "x", partial=["b"])["attack"] == "a"
    assert worst_case(table, "x", partial=["a", "b", "c"])["attack"] == "b"
    never_ran = table | {"a": {"x": NOT_RUN}, "c": {}}
    assert worst_case(never_ran, "x", partial=["b"])["attack"] == "b"


def test_a_failed_attack_is_named_where_it_ran() -> None:
    table = {"a": {"x": SCORES}, "b": {"x": ALL}, "c": {"x": NOT_RUN}}
    found = worst_case(table, "x", failed=["b", "c"])
    assert (found["attack"], found["attacks"], found["failed"]) == ("b", 2, ["b"])


def test_the_strongest_is_read_from_metrics() -> None:
    worst = {"none": worst_case({"a": {"none": ALL}}, "none"), "mid": worst_case({}, "mid")}
    assert strongest({"worst": worst}) == {"none": "a", "mid": None}
