"""Published numbers beside those of a study that nobody computed."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from pathlib import Path

import pytest

import fake_study
from trapmid.metrics.prdc import Prdc
from trapmid.report.published import comparison, tables
from trapmid.report.published.rows import DRAWN
from trapmid.report.published.study import Study

PUBLISHED = tables.read(Path(__file__).resolve().parents[3] / "reports" / "paper")
SEEDS = (0, 1, 2, 3, 4)


def paper_like(change=lambda params: None, aa1=None, own=None, **scored):
    """A study in the paper's main setting.

    Args:
        change: of params.yaml.
        aa1: by attack and defence, the values of the seeds.
        own: fields of the scores by the attack's own code; None: it has none.
        scored: other fields of every attack run's scores.
    """
    params = copy.deepcopy(fake_study.params(SEEDS))
    params["raw"] = {}
    params["data"]["faces"] |= {"image_size": 64, "identities": 1000}
    for side in ("private", "public"):
        params["data"]["faces"][side] = {"reader": "celeba", "path": "data/external/celeba"}
    params["evaluators"]["evaluator"]["arch"] = "facenet112"
    for block in params["targets"].values():
        block |= {"arch": "vgg16", "init": "weights/torchvision"}
    change(params)
    evaluators, targets, attack_runs = fake_study.scores(params)
    for row, one in attack_runs.items():
        protocol = dataclasses.replace(one.protocol, identities=1000)
        values = (aa1 or {}).get((one.attack, one.defense))
        fields = {"aa1": values[one.seed]} if values else {}
        if own is not None:
            fields["paper"] = one.paper and dataclasses.replace(one.paper, **own)
        else:
            fields["paper"] = None
        attack_runs[row] = dataclasses.replace(one, protocol=protocol, **fields, **scored)
    return Study(
        params=params,
        metrics={"attacks": {}},
        evaluators=evaluators,
        targets=targets,
        attack_runs=attack_runs,
        seconds=dict.fromkeys(targets, 900.0),
    )


def one(study, table, attack, defence, metric="aa1"):
    found = [
        line
        for line in comparison.compare(PUBLISHED, study)
        if line.number.architecture not in ("resnest101", "densenet169")  # beside ResNet-152
        and (line.number.table, line.number.attack, line.number.defence, line.number.metric)
        == (table, attack, defence, metric)
    ]
    assert len(found) == 1
    return found[0]


NEAR = {("gmi", "none"): [0.135, 0.139, 0.143, 0.147, 0.151]}  # 14.3 %; the paper: 14.29 ± 0.63
FAR = {("gmi", "trapmid"): [0.05, 0.051, 0.052, 0.053, 0.054]}  # the paper: 0.24 ± 0.19


def test_one_matches_one_differs_one_is_missing():
    study = paper_like(aa1=NEAR | FAR)
    near, far = one(study, 1, "gmi", "none"), one(study, 1, "gmi", "trapmid")
    assert near.status == "match" and near.ours.value == pytest.approx(0.143)
    assert near.difference == pytest.approx(0.143 - 0.1429)
    assert len(near.ours.rows) == 5
    assert far.status == "differs" and far.difference == pytest.approx(0.052 - 0.0024)
    gone = one(study, 1, "gmi", "mid")
    assert (gone.status, gone.ours, gone.difference) == ("not run", None, None)
    assert one(study, 11, "plgmi", "none", "facenet_dist").status == "not run"  # no verifier


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ([0.1429 + 0.006] * 2 + [0.1429 + 0.0062] * 3, "differs"),  # our own spread is too narrow
        ([0.12, 0.14, 0.1429, 0.16, 0.19], "differs"),  # the paper's is, 0.63
        ([0.14, 0.142, 0.1429, 0.145, 0.147], "match"),
    ],
)
def test_a_match_lies_within_both_spreads(values, status):
    assert one(paper_like(aa1={("gmi", "none"): values}), 1, "gmi", "none").status == status


def test_an_interval_of_metrics_json_comes_first():
    study = paper_like(aa1=NEAR)
    interval = {"low": 0.143, "high": 0.144, "kind": "t over seeds", "n": 5}
    metrics = {
        "attacks": {"gmi": {"none": {"aa1": 0.143, "intervals": {"aa1": interval}}}},
        "targets": {"none": {"intervals": {"test_accuracy": interval}}},
    }
    study = dataclasses.replace(study, metrics=metrics)
    assert one(study, 1, "gmi", "none", "acc").ours.range == (0.143, 0.144, "t over seeds")
    found = one(study, 1, "gmi", "none")
    assert found.ours.range == (0.143, 0.144, "t over seeds")
    assert found.status == "differs"  # 14.29 is below 14.3, by more than its rounding


def test_without_a_spread_only_equal_digits_match():
    def single(params):
        for section in ("targets", "attack_runs"):
            params[section] = {row: b for row, b in params[section].items() if b["seed"] == 0}

    def accuracy(value):
        study = paper_like(single)
        targets = {
            row: dataclasses.replace(scores, test_accuracy=value)
            for row, scores in study.targets.items()
        }
        return one(dataclasses.replace(study, targets=targets), 18, "brepmi", "none", "acc").status

    assert accuracy(0.87832) == "match"  # the paper: 87.83
    assert accuracy(0.87842) == "differs"


def drawn(params):
    params["raw"] = {"synthetic": {"maker": "synthetic", "options": {}}}
    for side in ("private", "public"):
        params["data"]["faces"][side]["path"] = "data/raw/synthetic/celeba"


def test_drawn_faces_never_match():
    """However close: the same study as above, but its faces are nobody's."""
    lines = comparison.compare(PUBLISHED, paper_like(drawn, aa1=NEAR))
    found = comparison.counts(lines)
    assert found["match"] == found["differs"] == 0 and found["not comparable"] > 100
    ours = [line for line in lines if line.ours is not None]
    assert all(DRAWN in line.why for line in ours)
    assert sum(found.values()) == len(PUBLISHED.numbers)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: p["data"]["faces"].update(identities=500), "500 people instead of 1,000"),
        (lambda p: p["data"]["faces"].update(image_size=32), "32 pixels instead of 64"),
        (lambda p: p["data"]["faces"]["public"].update(reader="ffhq"), "public images of ffhq"),
        (lambda p: p["data"]["faces"]["private"].update(reader="faces"), "private images of faces"),
        (lambda p: p["evaluators"]["evaluator"].update(arch="wide"), "another evaluator"),
        (
            lambda p: [block.update(arch="ir152") for block in p["targets"].values()],
            "network ir152 instead of vgg16",
        ),
        (
            lambda p: p["targets"]["none-3"].update(init="weights/random"),
            "targets from random weights instead of pretrained ones",
        ),
    ],
)
def test_another_setting_is_not_compared(change, why):
    found = one(paper_like(change, aa1=NEAR), 1, "gmi", "none")
    assert found.status == "not comparable" and found.why == (why,)


def high_resolution(
    images=50, evaluator="inception_v3", size=224, training="given", split="shuffled"
):
    """Table 19: PPA on 224 pixels, judged by Inception-v3 on 50 images of each person."""

    def change(params):
        data = params["data"]["faces"]
        data |= {"image_size": size, "private": {"reader": "celeba_hd", "path": "data/external/a"}}
        data["public"] = {"reader": "ffhq", "path": "data/external/b"}
        data["test_split"] = split
        params["evaluators"]["evaluator"] |= {
            "arch": evaluator, "init": "weights/timm/x", "training": training
        }  # fmt: skip
        for block in params["targets"].values():
            block["arch"] = "resnet152"
        for block in params["attack_runs"].values():
            block["attack"] = {"gmi": "ppa"}.get(block["attack"], block["attack"])

    study = paper_like(change, knn_dist=312.5)
    runs = {
        row: dataclasses.replace(
            run, protocol=dataclasses.replace(run.protocol, images_per_identity=images)
        )
        for row, run in study.attack_runs.items()
    }
    return dataclasses.replace(study, attack_runs=runs)


def of_resnet(study, metric="aa1"):
    (found,) = [
        line
        for line in comparison.compare(PUBLISHED, study)
        if (line.number.table, line.number.architecture, line.number.defence, line.number.metric)
        == (19, "resnet152", "none", metric)
    ]
    return found


def test_the_high_resolution_track_has_a_setting_of_its_own():
    found = of_resnet(high_resolution())
    assert found.why == () and found.status == "differs"  # the paper: 80.61
    distance = of_resnet(high_resolution(), "eval_dist")
    assert distance.why == () and distance.ours.value == 312.5  # the paper: 312.58
    assert distance.difference == pytest.approx(-0.08)
    trained = of_resnet(high_resolution(training="highres"), "eval_dist")
    assert trained.why == ("evaluator from other weights: its distances have another scale",)
    assert of_resnet(high_resolution(training="highres")).why == ()  # a rate has no scale
    assert of_resnet(high_resolution(), "acc").why == ()
    assert of_resnet(high_resolution(split="stratified"), "acc").why == (
        "test images of all people, there of 951",
    )
    assert "of successes alone, there of all images" in of_resnet(high_resolution(), "fid").why
    for changed, why in (
        (high_resolution(images=5), "another number of images of each person"),
        (high_resolution(evaluator="facenet112"), "another evaluator"),
        (high_resolution(size=64), "64 pixels instead of 224"),
    ):
        assert of_resnet(changed).why == (why,)


def with_distance(study, method, value):
    """The study, whose verifiers are of a method and measure this distance."""
    study.params["judges"]["verifier"]["method"] = method
    for row, scores in study.attack_runs.items():
        if scores.judges is None:
            continue
        verifier = dataclasses.replace(scores.judges.verifier, nearest_image=value)
        judged = dataclasses.replace(scores.judges, verifier=verifier)
        study.attack_runs[row] = dataclasses.replace(scores, judges=judged)
    return study


def test_facenet_s_distance_is_the_verifier_s():
    """The paper: 0.7362 of ResNet-152, 0.6110 of PLG-MI, whose images FaceNet enlarges."""
    found = of_resnet(with_distance(high_resolution(), "facenet", 0.73622), "facenet_dist")
    assert found.why == () and found.ours.value == 0.73622 and found.status == "match"
    assert found.difference == pytest.approx(0.00002)
    low = one(with_distance(paper_like(), "facenet", 0.7), 11, "plgmi", "none", "facenet_dist")
    assert (low.status, low.why) == ("differs", ())


def test_facenet_s_distance_has_nothing_to_do_with_the_evaluator():
    study = with_distance(high_resolution(evaluator="facenet112"), "facenet", 0.7362)
    assert of_resnet(study, "facenet_dist").why == ()
    assert of_resnet(study, "eval_dist").why == ("another evaluator",)


def test_another_verifier_s_distance_is_no_facenet_s():
    for method in ("dlib", "verifier"):
        found = of_resnet(with_distance(high_resolution(), method, 0.7362), "facenet_dist")
        assert found.status == "not comparable" and found.ours.value == 0.7362
        assert found.why == (f"the verifier {method} instead of FaceNet",)


@pytest.mark.parametrize("named", [True, False])
def test_without_a_verifier_s_distance_there_is_nothing_to_compare(named):
    study = high_resolution()  # whose file of scores is older
    if not named:
        for row, scores in study.attack_runs.items():
            study.attack_runs[row] = dataclasses.replace(scores, judges=None)
    assert of_resnet(study, "facenet_dist").status == "not run"


def test_rows_in_the_papers_setting_are_found_among_others():
    """The networks of tables 12 and 13 stand in one study with the first one."""

    def networks(params):
        for block in params["targets"].values():
            if block["defense"] == "none_aug":
                block |= {"arch": "ir152", "defense": "none"}

    study = paper_like(networks)
    assert one(study, 13, "gmi", "none").ours.place.architecture == "ir152"
    assert one(study, 1, "gmi", "none").ours.place.architecture == "vgg16"
    assert one(study, 12, "gmi", "none").why == ("network vgg16 instead of facenet64",)


def test_measures_of_another_kind():
    study = paper_like()
    assert one(study, 1, "gmi", "none", "fid").why == (
        "Fréchet distance of the evaluator's features",
    )
    distance = one(study, 1, "gmi", "none", "knn_dist")
    assert distance.why == ("evaluator from other weights: its distances have another scale",)
    sound = {"every_class_attacked": True, "target_agreement": True}
    failed = paper_like(checks=sound)
    assert one(failed, 1, "gmi", "none").why == ()
    of_one_seed = failed.attack_runs["gmi-none-3"]
    failed.attack_runs["gmi-none-3"] = dataclasses.replace(
        of_one_seed, checks=sound | {"target_agreement": False}
    )
    assert one(failed, 1, "gmi", "none").why == ("a check of the attack failed",)
    minutes = one(study, 9, "", "none", "training_minutes")
    assert minutes.ours.value == 15 and minutes.status == "not comparable"


@pytest.mark.parametrize("attack", ["gmi", "kedmi", "plgmi", "lomma_gmi", "lomma_kedmi"])
def test_an_fid_of_64_pixels_is_never_compared(attack):
    """The released code has torchvision's Inception, and LOMMA's has pixels in [0.5, 1]."""

    def named(params):
        for block in params["attack_runs"].values():
            if block["attack"] == "gmi":
                block["attack"] = attack

    lomma = attack.startswith("lomma")
    study = paper_like(named, frechet_features="inception", frechet=31.01)  # GMI's of table 1
    found = one(study, 2 if lomma else 1, attack, "none", "fid")
    assert found.status == "not comparable"
    assert found.why == (
        "pixels on another scale there"
        if lomma
        else "another Inception network and input scale there",
    )
    evaluators = one(paper_like(named), found.number.table, attack, "none", "fid")
    assert evaluators.why == ("Fréchet distance of the evaluator's features",)


def test_no_fid_of_64_pixels_is_a_pair():
    study = paper_like(frechet_features="inception", frechet=30.0)
    found = [
        line
        for line in comparison.compare(PUBLISHED, study)
        if (line.number.metric, line.number.private) == ("fid", "celeba") and line.ours
    ]
    assert found and all(line.status == "not comparable" for line in found)


def test_the_worst_of_five_targets_is_one_row():
    values = {("gmi", "trapmid"): [0.001, 0.0056, 0.002, 0.003, 0.004]}
    study = paper_like(aa1=values)
    worst = one(study, 10, "gmi", "trapmid")
    assert worst.ours.rows == ("gmi-trapmid-1",) and worst.status == "match"  # the paper: 0.56
    accuracy = one(study, 10, "gmi", "trapmid", "acc")
    assert accuracy.ours.value == study.targets["trapmid-1"].test_accuracy


def test_the_best_of_five_targets_is_the_one_that_leaks_least():
    def bido(params):
        for block in params["targets"].values():
            if block["defense"] == "trapmid":
                block["defense"] = "bido"

    study = paper_like(bido, aa1={("gmi", "bido"): [0.05, 0.0442, 0.06, 0.07, 0.08]})
    best = one(study, 10, "gmi", "bido")
    assert best.ours.rows == ("gmi-trapmid-1",) and best.status == "match"  # the paper: 4.42
    assert one(study, 10, "gmi", "bido", "acc").ours.rows == ("trapmid-1",)


def test_the_best_and_the_worst_are_of_five_seeds():
    """Of two seeds an extreme is another quantity; a mean is not."""
    values = {("gmi", "trapmid"): [0.001, 0.0056, 0.002, 0.003, 0.004]}
    study = paper_like(lambda params: params.update(seeds=[0, 1]), aa1=values)
    assert "of fewer than 5 seeds" in one(study, 10, "gmi", "trapmid").why
    assert one(study, 1, "gmi", "trapmid").why == ()
    assert one(paper_like(aa1=values), 10, "gmi", "trapmid").why == ()


def test_the_first_batches_of_brepmi_are_the_most_that_one_person_took():
    """Of 17 the mean over people is 2 to 6; the paper attacks 300 people, once each."""
    found = one(paper_like(), 18, "brepmi", "none", "initial_iterations")
    assert found.ours.value == 17
    assert found.why == ("1,000 people attacked instead of 300",)


def test_the_worst_is_so_by_the_number_that_is_shown():
    """By the attack's own code another target is the worst one."""
    study = paper_like(aa1={("gmi", "trapmid"): [0.1, 0.11, 0.0, 0.0, 0.0]}, own={})
    for seed, aa1 in enumerate((0.12, 0.09, 0.0, 0.0, 0.0)):
        run = study.attack_runs[f"gmi-trapmid-{seed}"]
        own = dataclasses.replace(run.paper, aa1=aa1)
        study.attack_runs[f"gmi-trapmid-{seed}"] = dataclasses.replace(run, paper=own)
    worst = one(study, 10, "gmi", "trapmid")
    assert (worst.ours.rows, worst.ours.value) == (("gmi-trapmid-0",), 0.12)
    accuracy = one(study, 10, "gmi", "trapmid", "acc")
    assert accuracy.ours.rows == ("trapmid-0",)


def test_the_scores_by_the_attacks_own_code_come_first():
    """LOMMA's AA-5 is of its last draw there."""

    def lomma(params):
        for block in params["attack_runs"].values():
            if block["attack"] == "gmi":
                block["attack"] = "lomma_gmi"

    study = paper_like(lomma, aa5=0.7, own={"aa5": 0.89, "aa5_std": 0.01})
    found = one(study, 2, "lomma_gmi", "none", "aa5")
    assert found.ours.value == pytest.approx(0.89)
    assert one(paper_like(lomma, aa5=0.7), 2, "lomma_gmi", "none", "aa5").ours.value == 0.7


def test_an_interval_of_the_standard_score_is_none_of_another_number():
    between = {"low": 0.6, "high": 0.8, "kind": "identities", "n": 20}
    for own, kind in (({"aa5": 0.89, "aa5_std": 0.01}, "sample"), ({"aa5": 0.7}, "identities")):
        study = paper_like(aa5=0.7, own=own)
        study.metrics["attacks"]["gmi"] = {"none": {"intervals": {"aa5": between}}}
        assert one(study, 1, "gmi", "none", "aa5").ours.range.kind.startswith(kind)
    # Of one seed both are equal by chance: the mean is still that of another number.
    run = study.attack_runs["gmi-none-4"]
    own = dataclasses.replace(run.paper, aa5=0.9)
    study.attack_runs["gmi-none-4"] = dataclasses.replace(run, paper=own)
    assert one(study, 1, "gmi", "none", "aa5").ours.range.kind.startswith("sample")


def test_the_order_of_rows_changes_nothing():
    def reversed_rows(params):
        for section in ("targets", "attack_runs"):
            params[section] = dict(reversed(params[section].items()))

    def seen(study):
        return [(x.status, x.difference, x.why) for x in comparison.compare(PUBLISHED, study)]

    assert seen(paper_like(aa1=NEAR | FAR)) == seen(paper_like(reversed_rows, aa1=NEAR | FAR))
    assert set(Counter(x[0] for x in seen(paper_like(aa1=NEAR | FAR)))) == set(comparison.STATUSES)


@pytest.mark.parametrize(
    ("make", "table", "attack"), [(paper_like, 11, "plgmi"), (high_resolution, 20, "ppa")]
)
def test_precision_recall_density_and_coverage(make, table, attack):
    """PPA's four numbers are means of another kind, so their orderings alone are worth a look."""
    study = make()
    for row, scores in study.attack_runs.items():
        prdc = Prdc(precision=0.1, recall=0.2, density=0.3, coverage=0.4)
        fidelity = dataclasses.replace(scores.fidelity, prdc_ppa=prdc)
        study.attack_runs[row] = dataclasses.replace(scores, fidelity=fidelity)
    for metric, ours in (
        ("improved_precision", 0.1),
        ("improved_recall", 0.2),
        ("density", 0.3),
        ("coverage", 0.4),
    ):
        found = one(study, table, attack, "trapmid", metric)
        assert found.ours.value == ours and found.status == "not comparable"
        assert found.why == (
            "a mean over three entries there, over people here",
            "features of the evaluator instead of an Inception network",
        )
