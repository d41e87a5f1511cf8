"""Which people leak most: counts of each, their order, their names and their intervals."""

from __future__ import annotations

import csv
import io

import torch
from scipy.stats import binomtest

from trapmid.artifacts import checkpoints
from trapmid.report import people, people_table
from trapmid.report.blocks import Fold, Table
from trapmid.report.people import Exposed
from trapmid.report.sections import people as section

ONE = {
    "labels": torch.tensor([0, 0, 1, 1, 2, 2]),
    "hit": torch.tensor([0, 1, 1, 1, 0, 0]).bool(),
    "judged": {"agreed": torch.tensor([0, 0, 1, 0, 0, 0]).bool()},
}
TOLD = people.Person("Zoë", 7, 3, None, 5, 12)
TWO = {
    "labels": torch.tensor([2, 1, 0]),
    "hit": torch.tensor([1, 1, 0]).bool(),
    "judged": {"agreed": torch.tensor([1, 1, 0]).bool()},
}


def test_people_by_share_over_seeds():
    found = people.tally([ONE, TWO], {1: "bea", 2: "cy"})
    assert [(one.name, one.hits, one.agreed, one.n) for one in found] == [
        ("bea", 3, 2, 3),
        ("cy", 1, 1, 3),  # granted by all judges, before a hit that is not
        ("0", 1, 0, 3),
    ]


def test_a_share_of_few_images_comes_before_more_hits():
    few = {"labels": torch.tensor([5, 6, 6, 6]), "hit": torch.tensor([1, 1, 1, 0]).bool()}
    assert [one.label for one in people.tally([few], {})] == [5, 6]


def test_a_share_that_judges_grant_comes_before_more_images():
    """One of one before two of three, though both are hits throughout."""
    grant = {"agreed": torch.tensor([1, 1, 0, 1]).bool()}
    run = {"labels": torch.tensor([6, 6, 6, 7]), "hit": torch.ones(4).bool(), "judged": grant}
    assert [(one.label, one.agreed) for one in people.tally([run], {})] == [(7, 1), (6, 2)]


def test_without_judges_nobody_agrees():
    found = people.tally([{"labels": ONE["labels"], "hit": ONE["hit"]}], {})
    assert {one.agreed for one in found} == {None}


def test_the_interval_is_wilsons():
    for one in people.tally([ONE, TWO], {}):
        wanted = binomtest(one.hits, one.n).proportion_ci(method="wilson")
        assert abs(one.interval.low - wanted.low) < 1e-9
        assert abs(one.interval.high - wanted.high) < 1e-9


def block(attack, seed=0):
    return {"attack": attack, "target": f"t-{seed}", "data": "faces", "seed": seed}


PARAMS = {
    "targets": {row: {"data": "faces", "arch": "a", "defense": "none"} for row in ("t-0", "t-1")},
    "attack_runs": {
        f"{attack}-t-{seed}": block(attack, seed) for attack in ("gmi", "plgmi") for seed in (0, 1)
    },
}
MANIFEST = """path,identity,label,split,size,hash
people/bea/1.jpg,people:77,1,train,8,x
people/al/1.jpg,people:78,0,test,8,x
celeba/img/9.jpg,celeba:2880,2,train,8,x
people/cy/1.jpg,people:79,,public,8,x
"""


def test_the_strongest_attack_counts_and_folders_give_names(tmp_path):
    folder = tmp_path / "data/prepared/faces"
    folder.mkdir(parents=True)
    (folder / "manifest.csv").write_text(MANIFEST)
    none = {**ONE, "hit": torch.zeros(6, dtype=torch.bool)}
    scored = {"gmi-t-0": none, "gmi-t-1": none, "plgmi-t-0": ONE, "plgmi-t-1": TWO}
    found = people.exposed(PARAMS, tmp_path, {"none": "plgmi", "mid": None}, scored)
    assert list(found) == ["none"] and found["none"].attack == "plgmi"
    assert [one.name for one in found["none"].people] == ["bea", "2880", "al"]


def test_all_attacks_together_are_counted_beside_the_one(tmp_path):
    """Of an audited model: one gets the second person, the other one, without judges, the third."""
    folder = tmp_path / "data/prepared/faces"
    folder.mkdir(parents=True)
    (folder / "manifest.csv").write_text(MANIFEST)
    other = {"labels": torch.tensor([2]), "hit": torch.tensor([True])}
    params = {**PARAMS, "attack_runs": {f"{a}-t-0": block(a) for a in ("gmi", "plgmi", "random")}}
    scored = {"gmi-t-0": other, "plgmi-t-0": ONE, "random-t-0": TWO}  # the floor counts nowhere
    assert people.exposed(params, tmp_path, {"none": "plgmi"}, scored)["none"].overall == ()
    own = {row: block | {"defense": "audited"} for row, block in PARAMS["targets"].items()}
    params["targets"] = own
    found = people.exposed(params, tmp_path, {"audited": "plgmi"}, scored)["audited"]
    counts = {one.label: (one.hits, one.agreed, one.n, one.trained) for one in found.overall}
    assert counts == {0: (1, 0, 2, 0), 1: (2, 1, 2, 1), 2: (1, 0, 3, 1)}
    assert {one.label: one.n for one in found.people} == {0: 2, 1: 2, 2: 2}


def test_by_chance_is_that_of_blind_guesses():
    """Against guesses that are drawn."""
    made = [people.Person("a", 0, 0, None, 3), people.Person("b", 1, 0, None, 1)]
    guesses = torch.randint(4, (20_000, 4), generator=torch.Generator().manual_seed(0))
    hit = (guesses[:, :3] == 0).any(dim=1).double() + (guesses[:, 3] == 1).double()
    assert abs(people.by_chance(made, 4) - float(hit.mean())) < 0.01


def test_who_has_more_training_images_is_seen(tmp_path):
    """Whom the evaluator saw more often it names more often; where all have as many, no column."""
    folder = tmp_path / "data/prepared/faces"
    folder.mkdir(parents=True)
    more = "people/bea/2.jpg,people:77,1,train,8,x\npeople/bea/3.jpg,people:77,1,test,8,x\n"
    columns = {}
    for name, manifest in (
        ("even", MANIFEST.replace("0,test", "0,train")),
        ("odd", MANIFEST + more),
    ):
        (folder / "manifest.csv").write_text(manifest)
        scored = {f"{attack}-t-{seed}": ONE for attack in ("gmi", "plgmi") for seed in (0, 1)}
        exposed = people.exposed(PARAMS, tmp_path, {"none": "plgmi"}, scored)
        blocks = section.people(Given(exposed)).blocks
        (frame,) = (one.frame for one in blocks if isinstance(one, Table))
        columns[name] = dict(zip(frame["Person"], frame.get("Training images", []), strict=False))
        assert ("compare people who have about as many" in blocks[-1]) == (name == "odd")
    assert columns == {"even": {}, "odd": {"bea": "2", "2880": "1", "al": "0"}}


def test_people_have_the_names_of_their_own_data(tmp_path):
    """One attack meets two sets of data; the other one comes first in params.yaml."""
    for name, manifest in (("faces", MANIFEST), ("others", MANIFEST.replace("bea", "dan"))):
        folder = tmp_path / f"data/prepared/{name}"
        folder.mkdir(parents=True)
        (folder / "manifest.csv").write_text(manifest)
    targets = {name: {"data": name, "arch": "a", "defense": "none"} for name in ("faces", "others")}
    runs = {
        name: {"attack": "gmi", "target": name, "data": name, "seed": 0}
        for name in ("others", "faces")
    }
    params = {"targets": targets, "attack_runs": runs}
    strongest = {"none": "gmi", "none@others": "gmi"}
    found = people.exposed(params, tmp_path, strongest, {"faces": ONE, "others": ONE})
    named = {name: {one.name for one in own.people} for name, own in found.items()}
    assert "bea" in named["none"] and "dan" not in named["none"]
    assert "dan" in named["none@others"]


def test_an_attack_with_an_image_of_each_ranks_nobody(tmp_path):
    folder = tmp_path / "data/prepared/faces"
    folder.mkdir(parents=True)
    (folder / "manifest.csv").write_text(MANIFEST)
    once = {"labels": torch.arange(3), "hit": torch.ones(3, dtype=torch.bool)}
    one_seed = {
        **PARAMS,
        "attack_runs": {
            f"{attack}-t-0": block(attack) for attack in ("random", "brepmi", "gmi", "plgmi")
        },
    }
    weak = {"labels": ONE["labels"], "hit": ONE["hit"] & (ONE["labels"] == 0)}
    scored = {"random-t-0": ONE, "brepmi-t-0": once, "gmi-t-0": weak, "plgmi-t-0": ONE}
    found = people.exposed(one_seed, tmp_path, {"none": "brepmi"}, scored)
    assert found["none"].attack == "plgmi"
    alone = {"attack_runs": {"brepmi-t-0": one_seed["attack_runs"]["brepmi-t-0"]}}
    found = people.exposed({**PARAMS, **alone}, tmp_path, {"none": "brepmi"}, scored)
    assert found["none"].attack == "brepmi" and len(found["none"].people) == 3


def test_the_attack_that_all_judges_grant_most_is_shown(tmp_path):
    """As on the first screen, whatever the evaluator recognises most."""
    folder = tmp_path / "data/prepared/faces"
    folder.mkdir(parents=True)
    (folder / "manifest.csv").write_text(MANIFEST)
    params = {**PARAMS, "attack_runs": {f"{a}-t-0": block(a) for a in ("gmi", "plgmi", "brepmi")}}
    fooled = {**ONE, "hit": torch.ones(6, dtype=torch.bool), "judged": {"agreed": ONE["hit"] & 0}}
    part = {key: value[2:4] for key, value in ONE.items() if key != "judged"}
    part["judged"] = {"agreed": torch.ones(2, dtype=torch.bool)}  # of one person alone

    def shown(**scored):
        given = {f"{attack}-t-0": one for attack, one in scored.items()}
        return people.exposed(params, tmp_path, {"none": "plgmi"}, given)["none"].attack

    assert shown(plgmi=fooled, gmi=ONE, brepmi=part) == "gmi"
    assert shown(plgmi=ONE, gmi=ONE, brepmi=fooled) == "plgmi"  # the strongest among equals
    assert shown(plgmi=fooled, gmi=fooled, brepmi=fooled) == "plgmi"


class Given:
    def __init__(self, exposed):
        self.exposed = exposed


def test_looks_of_people_are_means_over_images_that_were_found(tmp_path):
    """The share of others who are farther, by hand; the third image was not found."""
    distances = torch.tensor([[1.0, 2, 3], [2, 1, 3], [9, 1, 1], [3, 1, 2]]).double()
    labels = torch.tensor([0, 0, 0, 1])
    (tmp_path / "data/reconstructions").mkdir(parents=True)
    made = {"found": torch.tensor([True, True, False, True])}
    checkpoints.save(tmp_path / "data/reconstructions/a.pt", made)
    scored = {"a": {"labels": labels, "judged": {"identity_distances": distances}}, "b": {}}
    params = {"attack_runs": {"a": {}, "b": {}}}
    assert people.looks(params, tmp_path, scored) == {"a": {0: 0.75, 1: 1.0}}


def test_the_section_shows_ten_and_folds_the_rest():
    labels = torch.arange(12).repeat_interleave(4)
    run = {"labels": labels, "hit": torch.arange(48) % 4 < (labels % 5)}
    made = section.people(Given({"none": Exposed("plgmi", people.tally([run], {}), ())}))
    tables = [block for block in made.blocks if isinstance(block, Table)]
    assert len(tables[0].frame) == 10
    (fold,) = [block for block in made.blocks if isinstance(block, Fold)]
    assert fold.title == "All 12 people" and len(fold.blocks[0].frame) == 12
    text = " ".join(block for block in made.blocks if isinstance(block, str))
    # Shares of 0, 1/4 ... 4/4 go round: 2 or 3 people each; 0 for labels 0, 5, 10
    assert (
        "of 12 people, 9 are recognised in at least one reconstruction, 4 in more than half" in text
    )
    assert tables[0].frame["Recognised (%)"].iloc[0] == "100 (51 to 100)"
    assert "all judges" not in text and "by luck comes first" in text
    assert section.people(Given({})).blocks == []


def test_the_list_is_a_table_for_a_spreadsheet():
    """Names as they are; a study without judges has empty places."""
    judged = people.tally([ONE], {1: "bea, b", 2: 'c"y'})
    own = {"none": Exposed("plgmi", judged, ()), "mid@x": Exposed("gmi", (TOLD,), ())}
    lines = list(csv.DictReader(io.StringIO(people_table.table(own))))
    assert lines[0] == {
        "defence": "none",
        "attack": "plgmi",
        "label": "1",
        "name": "bea, b",
        "training_images": "0",
        "recognised": "2",
        "agreed": "1",
        "images": "2",
    }
    assert [line["name"] for line in lines] == ["bea, b", "0", 'c"y', "Zoë"]
    assert list(lines[3].values()) == ["mid@x", "gmi", "7", "Zoë", "12", "3", "", "5"]
    assert people_table.table({}).count("\n") == 1
    made = section.people(Given(own))
    assert made.blocks[-1].endswith("[people.csv](people.csv).")


def test_the_section_says_of_whom_all_judges_agree():
    made = section.people(Given({"none": Exposed("plgmi", people.tally([ONE], {}), ())}))
    text = " ".join(block for block in made.blocks if isinstance(block, str))
    assert "1 in more than half; of 1, all judges agree on one or more." in text
    assert "the one of whose images all of them agree on most" in text
    # BREP-MI makes one image of each: the first screen may name it, this section never does
    assert "unless it makes a single image of each person" in text
