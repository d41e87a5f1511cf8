"""docs/reproduce.md: which printed AA-1 values the command of each table answers, and its rows."""

from __future__ import annotations

import copy
import dataclasses
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import fake_study
from paper_tables import ANSWERED, LINES, PUBLISHED, ROOT, Line, composed, name, numbers
from trapmid import cli
from trapmid.config import params
from trapmid.profiles import preflight
from trapmid.profiles.sections import ROWS
from trapmid.report import summary
from trapmid.report.published import comparison, tables
from trapmid.report.published.rows import suits
from trapmid.report.published.study import Study

CARD = str(ROOT / "benchmarks/results/2026-11-27-nvidia-h100-80gb-hbm3.json")


def scored(content: Mapping[str, Any]) -> Study:
    """Made-up scores of the rows, of as many people and images as the rows attack."""
    evaluators, targets, attack_runs = fake_study.scores(content)
    for row, one in attack_runs.items():
        block = params.of_row(content, "attack_runs", row)
        people = content["data"][content["attack_runs"][row]["data"]]["identities"]
        images = content["inversion"]["images_per_class"]
        if one.attack == "ppa":
            images = block["robustness"]["keep"]
        protocol = dataclasses.replace(
            one.protocol,
            evaluator=content["attack_runs"][row]["evaluator"],
            identities=block.get("untargeted") or people,
            images_per_identity=block.get("images_per_class", images),
        )
        attack_runs[row] = dataclasses.replace(one, protocol=protocol)
    return Study(
        params=content,
        metrics={"attacks": {}},
        evaluators=evaluators,
        targets=targets,
        attack_runs=attack_runs,
        seconds={},
    )


def compared(content: Mapping[str, Any], table: int) -> list[comparison.Comparison]:
    """Every printed AA-1 of an attack of the table, beside the study's."""
    printed = [one for one in numbers(table) if one.metric == "aa1"]
    return comparison.compare(tables.Published(PUBLISHED.tables, tuple(printed)), scored(content))


def counted(content: Mapping[str, Any], table: int) -> str:
    """How many printed values can be compared, of how many."""
    found = compared(content, table)
    pairs = [one for one in found if one.status in ("match", "differs")]
    return f"{len(pairs)} of {len(found)}" if found else "none is printed"


@pytest.mark.slow
@pytest.mark.parametrize("line", ANSWERED, ids=name)
def test_as_many_numbers_are_answered_as_the_document_says(line: Line) -> None:
    """A number counts where its row and the printed one can be compared, whatever they say."""
    content = composed(line)
    count, _, better = line.count.partition("; ")
    assert count == counted(content, line.table)
    if better:
        changed = copy.deepcopy(content)
        if line.table == 18:
            assert better.startswith("with `untargeted: 300` ")
            changed["attacks"]["brepmi"]["untargeted"] = 300
        else:
            kind = {12: "ms1m-ir50", 13: "ms1m-ir152"}[line.table]
            assert better.startswith(f"with `init` of `trapmid import --as {kind}` ")
            for row in changed["targets"].values():
                row["init"] = f"weights/official/{kind}.pt"
        assert better.endswith(f" {counted(changed, line.table).split()[0]}")


def unanswered(metric: str) -> list[tables.Number]:
    """The numbers of a metric for which the study of no table has a row."""
    studies = [scored(composed(line)) for line in ANSWERED]
    return [
        number
        for number in PUBLISHED.numbers
        if number.metric == metric and not any(has(study, number) for study in studies)
    ]


def has(study: Study, number: tables.Number) -> bool:
    """Whether a row has the number's attack, defence, network and public images."""
    ours = study.find(number)
    return ours is not None and suits(study.params, number, ours.place)


@pytest.mark.slow
def test_what_no_profile_produces_stands_in_the_deviations() -> None:
    text = " ".join((ROOT / "docs" / "deviations.md").read_text(encoding="utf-8").split())
    section = text.split("### What no profile produces ")[1].split(" ## ")[0]
    missing = unanswered("aa1")
    assert {one.table for one in missing} == {5, 6, 7, 8, 12, 13}
    others = {"gmi", "kedmi", "lomma_gmi", "lomma_kedmi"}
    assert {one.attack for one in missing} == others
    printed = [
        one
        for one in PUBLISHED.numbers
        if one.metric == "aa1" and one.attack in others and one.table in (5, 6, 7, 8, 12, 13)
    ]
    rest = [one for one in printed if one not in missing]
    assert {(one.defence, one.table) for one in rest} <= {
        (defence, table) for defence in ("none", "trapmid") for table in (5, 6, 7, 8)
    }
    assert (
        f"the four attacks beside PLG-MI in 5 to 8, 12 and 13: of their {len(printed)} AA-1 "
        f"values, {len(missing)} have no row in any profile. The other {len(rest)}, "
        "without a defence and of Trap-MID in 5 to 8, are those of tables 1 and 2"
    ) in section


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "places"),
    [("nearest_private", {3}), ("nearest_public", {3})],
)
def test_a_metric_without_a_score_is_answered_nowhere(metric: str, places: set[int]) -> None:
    assert {one.table for one in unanswered(metric)} == places


@pytest.mark.slow
@pytest.mark.parametrize("line", ANSWERED, ids=name)
def test_a_table_trains_nothing_that_it_does_not_need(line: Line) -> None:
    """A place of the table has one seed where its numbers are of one target, else all seeds."""
    content = composed(line)
    places: dict[tuple[str, ...], set[str]] = {}
    for one in numbers(line.table):
        place = (one.attack, one.defence, one.architecture, one.public)
        places.setdefault(place, set()).add(one.target)
    seeds: dict[tuple[str, ...], list[int]] = {}
    floors = 0
    for row in content["attack_runs"].values():
        target = content["targets"][row["target"]]
        public = content["data"][row["data"]]["public"]["reader"].removesuffix("_hd")
        if row["attack"] == "random":
            floors += 1
            continue
        place = (row["attack"], target["defense"], target["arch"], public)
        assert place in places
        seeds.setdefault(place, []).append(row["seed"])
    assert floors == 1
    for place, found in seeds.items():
        assert found == ([0] if places[place] == {"one"} else content["seeds"]), place
    named = {word for row in rows_of(content) for value in row.values() for word in words(value)}
    for section in ROWS:
        if section != "attack_runs":
            idle = [row for row in content[section] if row not in named]
            assert not idle, f"{section}: nothing names {idle}"


def rows_of(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rows of all sections."""
    for section in ROWS:
        yield from content[section].values()


def words(value: object) -> Iterator[str]:
    """The parts of every path or name under a value of a row."""
    if isinstance(value, Mapping):
        for below in value.values():
            yield from words(below)
    elif isinstance(value, str):
        yield from value.removesuffix(".pt").split("/")


@pytest.mark.parametrize("table", [7, pytest.param(17, marks=pytest.mark.slow)])
def test_the_command_writes_a_study_that_can_run(table, tmp_path, monkeypatch, capsys):
    (line,) = [one for one in LINES if one.table == table]
    for folder in ("profiles", "reports"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.command) == 0, capsys.readouterr().err
    text = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    assert params.parse(text) == composed(line)
    assert f"`trapmid {' '.join(line.command[:2])}" in text and f" --table {table}`" in text
    assert not preflight.problems(text)
    (said,) = preflight.problems(re.sub(r"^seeds: .*$", "seeds: [9]", text, flags=re.MULTILINE))
    assert f"`trapmid profile {line.profile} --table {table} --seeds 9` writes rows" in said


def test_another_table_is_another_study():
    """Else the baseline of one judges the other: both are of one profile and the same seeds."""
    made = {table: composed(line) for table in (6, 7) for line in LINES if line.table == table}
    assert made[6]["seeds"] == made[7]["seeds"]
    origins = {
        table: summary.summarise(one, *fake_study.scores(one), {})["study"]
        for table, one in made.items()
    }
    assert [one["profile"] for one in origins.values()] == [
        "paper_ablations --table 6",
        "paper_ablations --table 7",
    ]


def test_a_plan_counts_the_rows_of_a_table(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = ["paper_ablations", "--table", "7", "--seeds", "0", "--card", CARD]
    assert cli.main(["plan", *words]) == 0
    said = capsys.readouterr().out
    for stage, rows in {"train_target": 5, "train_guided_prior": 4, "invert": 5}.items():
        assert re.search(rf"^{stage} +{rows} ", said, re.MULTILINE), said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["paper", "--table", "11"], "--table 11: no attack of profile paper answers it"),
        (["small", "--table", "1"], "--table 1: no attack of profile small answers it"),
        (["paper", "--table", "21"], "--table: no 21; there are 1 to 20"),
    ],
)
def test_a_table_that_nothing_answers_is_one_line(words, said, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.main(["profile", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_every_table_has_a_line_with_the_profile_of_its_protocol():
    assert [line.table for line in LINES] == [one.table for one in PUBLISHED.tables]
    for one, line in zip(PUBLISHED.tables, LINES, strict=True):
        if line.profile and not one.profile.startswith("none"):
            assert line.profile == re.match(r"\w+", one.profile)[0]


@pytest.mark.parametrize(
    ("overlay", "place", "said"),
    [
        ("targets: {data: x}", "targets.open-0.data", "no 'x' in data; there are celeba"),
        pytest.param(
            "attack_runs: {verifier: data/features/judges/facenet.pt}",
            "attack_runs.plgmi-open-0.verifier",
            "no 'facenet' in judges; there are none",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "attack_runs: {prior: models/priors/public/gim}",
            "attack_runs.random-none-0.prior",
            "no 'gim' in public_priors; there are gmi",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "targets: {data: [x]}",
            "targets.open-0.data",
            "must be str, is ['x'] (list)",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_row_of_a_table_that_names_what_is_not_there_is_said_as_of_the_profile(
    overlay, place, said, tmp_path, monkeypatch, capsys
):
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    text = f"base: paper_ablations\nseeds: [0]\ndefaults: {{{overlay}}}\n"
    (tmp_path / "profiles/own.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for words in (["profile", "own"], ["plan", "own", "--card", CARD]):
        errors = []
        for table in ([], ["--table", "7"]):
            assert cli.main([*words, *table]) == 2
            errors.append(capsys.readouterr().err)
        assert errors[0] == errors[1]
        assert f"trapmid {words[0]} own: error: {place}: {said}\n" in errors[0]
    assert not (tmp_path / "params.yaml").exists()
