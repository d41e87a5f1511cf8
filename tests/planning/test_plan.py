"""A plan: counts times costs, from this machine or from a card."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vgg16_bn

import shipped
from toy import ATAT, TRAPMID, runtime
from trapmid import cli, wiring
from trapmid.config import params
from trapmid.defenses import bido
from trapmid.judges import facenet
from trapmid.nets import dlib_resnet
from trapmid.nets.stylegan2 import StyledConv, Synthesis
from trapmid.nets.stylegan2_critic import EqualConv
from trapmid.planning import card, measure, memory, plan, work
from trapmid.planning.card import Card
from trapmid.planning.company import company
from trapmid.planning.macs import Macs
from trapmid.planning.measure import Cost
from trapmid.planning.throughputs import ThisMachine
from trapmid.planning.units import Stage, Unit
from trapmid.priors import style
from trapmid.search import inversion
from trapmid.training.savings import Savings
from trapmid.types import Progress

ROOT = Path(__file__).resolve().parents[2]
GMI_PRIOR = json.dumps(
    params.parse(shipped.text("small"))["prior_training"]["gmi"],
    sort_keys=True,
)
JUDGE = json.dumps(
    {"steps": 1, "people": 4, "images_each": 2, "nobodies": 2, "lr": 0.001, "weight_decay": 0.0}
    | {"keep_every": 1}
)
GMI = json.dumps(params.parse(shipped.text("small"))["attacks"]["gmi"])
BIDO = params.parse(shipped.text("wide", (0,)))["bido"]
H100 = ROOT / "benchmarks/results/2026-11-27-nvidia-h100-80gb-hbm3.json"


class Given:
    """A hundredth of a second a unit, and 1 MB an image of a batch."""

    def __init__(self, start: float, drawing: float = 0.0) -> None:
        self._start, self._drawing = start, drawing

    def cost(self, unit: Unit) -> Cost | None:
        return None if unit.method == "gmi" else Cost(0.01, float(unit.batch))

    def start(self) -> float:
        return self._start

    def drawing(self) -> float:
        return self._drawing


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    return params.parse(shipped.text("small"))


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    return params.parse(shipped.text("paper", (0,)))


def unit(**changes: Any) -> Unit:
    fields: dict[str, Any] = {
        "kind": "train",
        "method": "none",
        "block": '{"augmentation": null}',
        "arch": "small_vgg",
        "classes": 4,
        "image_size": 16,
        "batch": 8,
    }
    return Unit(**(fields | changes))


def test_a_plan_is_a_sum_of_products(small: dict[str, Any]) -> None:
    found = plan.plan(small, Given(0.0))
    by_name = {line.name: line for line in found.lines}
    steps = 3 * 36 * 21
    asked = 37 * (3 * 336 + 168)  # of Trap-MID the test images with triggers, too
    assert by_name["train_target"].seconds == pytest.approx(0.01 * (steps + asked))
    assert by_name["train_target"].rows == 3
    assert by_name["train_target"].megabytes == plan.PROCESS_MB + 256  # of the batch of questions
    assert found.seconds == pytest.approx(sum(line.seconds for line in found.lines))
    assert found.untimed == ["prior gmi", "search gmi small_vgg"]


class Counted(Given):
    """And half a thousand million multiply-adds; of questions nobody counted them."""

    def cost(self, unit: Unit) -> Cost | None:
        found = super().cost(unit)
        return found if found is None or unit.kind == "ask" else found._replace(macs=5e8)


def test_multiply_adds_are_summed_where_they_were_counted(small: dict[str, Any]) -> None:
    found = plan.plan(small, Counted(0.0))
    by_name = {line.name: line.macs for line in found.lines}
    steps = 3 * 36 * 21
    assert by_name["train_target"] == pytest.approx(5e8 * steps)
    assert by_name["evaluate_target"] is None and by_name["code"] is None
    assert found.macs == pytest.approx(sum(one for one in by_name.values() if one is not None))
    head, *lines = plan.table(found, hours=False)
    assert head.split() == ["stage", "rows", "min", "MB", "GMAC"]
    shown = {line.split()[0]: line.split()[-1] for line in lines}
    assert (shown["train_target"], shown["evaluate_target"]) == ("1,134.0", "-")
    (whole,) = [line for line in lines if line.startswith("in all")]
    assert whole.split()[-1] == f"{found.macs / 1e9:,.1f}"
    assert "GMAC" not in plan.table(plan.plan(small, Given(0.0)), hours=False)[0]


def test_what_a_stage_holds_comes_to_the_memory_of_its_units() -> None:
    known, work = Given(0.0), ((unit(kind="ask"), 1.0),)
    without = plan.of_stage(Stage("invert", "a", work), known).megabytes
    assert plan.of_stage(Stage("invert", "a", work, megabytes=100.0), known).megabytes == (
        without + 100
    )
    assert plan.of_stage(Stage("invert", "a", megabytes=100.0), known).megabytes == (
        plan.PROCESS_MB + 100
    )


def test_every_stage_starts_and_is_booked(small: dict[str, Any]) -> None:
    with_starts, without = (plan.plan(small, Given(start)).seconds for start in (2.0, 0.0))
    count = len(work.stages(small))
    assert with_starts - without == pytest.approx(2.0 * count)
    there, twice = (plan.plan(small, Given(0.0, d)).seconds for d in (0.0057, 0.0114))
    faces = 24 * 70 + 3600
    assert there - without > 1.0 * count + 0.0057 * faces
    assert twice - without == pytest.approx(2 * (there - without))


def test_jobs_are_idle_while_one_stage_is_all_that_can_run(small: dict[str, Any]) -> None:
    found = plan.plan(small, Given(2.0, 0.0057), jobs=2)
    lines = {line.name: line for line in found.lines}
    alone = sum(
        lines[name].seconds for name in ("code", "make_raw", "prepare_data", "report", "track")
    )
    assert found.clock == pytest.approx(alone + (found.seconds - alone) / 2)
    assert "by the clock, 2 at a time" in plan.table(found, hours=False)[-2]
    # DVC's own work for a stage is less, since `trapmid run` does it
    assert found.seconds < plan.plan(small, Given(2.0, 0.0057)).seconds


def test_no_number_of_jobs_is_faster_than_the_longest_row_of_each_kind(
    small: dict[str, Any],
) -> None:
    found = plan.plan(small, Given(2.0, 0.0057), jobs=1000)
    longest: dict[str, float] = {}
    for stage in work.stages(small):
        line = plan.of_stage(stage, Given(2.0, 0.0057), 1000)
        longest[stage.name] = max(longest.get(stage.name, 0.0), line.seconds)
    assert found.clock == pytest.approx(sum(longest.values()))


def test_what_is_measured_is_kept_for_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, cpu = tmp_path / "kept.json", torch.device("cpu")
    asked: list[Unit] = []

    def cost(one: Unit, *_: Any) -> Cost:
        asked.append(one)
        return Cost(1.5, 2.0)

    monkeypatch.setattr(measure, "cost", cost)
    assert ThisMachine(cpu, file, frozen=True).cost(unit()) is None
    assert not file.exists()
    for _ in range(2):
        assert ThisMachine(cpu, file).cost(unit()) == Cost(1.5, 2.0)
    assert ThisMachine(cpu, file, frozen=True).cost(unit()) == Cost(1.5, 2.0)
    assert len(asked) == 1
    with monkeypatch.context() as context:
        context.setattr("trapmid.planning.throughputs._WAY", "another")
        assert ThisMachine(cpu, file, frozen=True).cost(unit()) is None
    (kept,) = json.loads(file.read_text("utf-8")).values()
    file.write_text(json.dumps({"another machine": kept}), "utf-8")
    assert ThisMachine(cpu, file, frozen=True).cost(unit()) is None


def test_what_is_measured_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "cost", lambda *_: Cost(1.5, 2.0))
    machine = ThisMachine(torch.device("cpu"), tmp_path / "kept.json")
    machine.cost(unit())
    machine.cost(unit()._replace(kind="prior", method="gmi", arch=""))
    with_network, without = capsys.readouterr().err.splitlines()
    assert with_network == f"measuring: train none small_vgg, {unit().image_size} px"
    assert without == f"measuring: prior gmi, {unit().image_size} px"


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\x00"])
def test_a_damaged_file_of_throughputs_is_measured_anew(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str,
) -> None:
    file, cpu = tmp_path / "kept.json", torch.device("cpu")
    file.write_text(content, "utf-8")
    monkeypatch.setattr(measure, "cost", lambda *_: Cost(1.5, 2.0))
    assert ThisMachine(cpu, file).cost(unit()) == Cost(1.5, 2.0)
    assert capsys.readouterr().err.startswith(f"warning: {file}: is damaged")
    assert ThisMachine(cpu, file, frozen=True).cost(unit()) == Cost(1.5, 2.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_search_that_is_seldom_due_is_timed_over_whole_rounds(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    due: list[bool] = []
    are_due = Savings.are_due

    def seen(self: Savings, progress: Progress) -> bool:
        found = are_due(self, progress)
        if progress.epoch == 1:  # the one that is timed
            due.append(found)
        return found

    monkeypatch.setattr(Savings, "are_due", seen)
    block = json.dumps(TRAPMID | {"search_every": every, "discriminator_width": 2})
    one = unit(method="trapmid", block=block)
    measure._train(one, runtime(), lambda: 0.0, 4)
    assert len(due) >= 3 and sum(due) * every == len(due)


@pytest.mark.parametrize("longest", [0.0, 1e9])
def test_a_step_of_bido_is_timed_at_its_own_batch(
    monkeypatch: pytest.MonkeyPatch, longest: float
) -> None:
    """Whether larger batches are tried or not: one of fewer images is none of its batches."""
    steps, forward = [0], bido.Objective.forward

    def counted(self: bido.Objective, *given: Any) -> Any:
        steps[0] += 1
        return forward(self, *given)

    monkeypatch.setattr(bido.Objective, "forward", counted)
    monkeypatch.setattr(measure, "_LONGEST", longest)
    block = BIDO | {"identities_per_batch": 8, "images_per_identity": 2}
    one = unit(method="bido", block=json.dumps(block), classes=12, batch=16)
    found = measure.cost(one, torch.device("cpu"), lambda: float(steps[0]))
    assert found.seconds == 1  # by a clock that a step moves on by one


class Counting:
    """Stands for dlib: an image's embedding is its mean, 128 times; all of them count together."""

    asked = 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        Counting.asked += len(images)
        return images.mean(dim=(1, 2, 3))[:, None].expand(-1, dlib_resnet.DIM)


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"block": '{"augmentation": null}'}, 0),
        ({"kind": "ask", "method": "", "block": "null"}, 1),
        ({"kind": "judge", "method": "dlib", "block": "null", "arch": ""}, 1),
    ],
    ids=["train", "ask", "judge"],
)
def test_the_first_look_at_an_image_is_what_dlib_costs(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], seconds: int
) -> None:
    """By a clock that every image moves on by one: a step of a training finds its images there."""
    monkeypatch.setattr(dlib_resnet, "Recogniser", Counting)
    one = unit(**({"arch": "dlib_head", "batch": 16} | changes))
    found = measure.cost(one, torch.device("cpu"), lambda: float(Counting.asked))
    assert found.seconds == seconds


def test_a_search_needs_no_more_memory_than_it_gives_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A quarter of a machine of 64 MB, whatever the number of images."""
    assert memory._SHARE == inversion._MEMORY_SHARE
    monkeypatch.setattr(memory, "_installed", lambda _: 2**26)
    one = unit(kind="search", method="gmi", block=GMI, prior="gmi", prior_block=GMI_PRIOR)
    few, many = (memory.megabytes(one._replace(batch=n), runtime()) for n in (1, 10**6))
    assert few < many
    assert many - few < 16 < many


@pytest.mark.parametrize(("method", "block"), [("trapmid", TRAPMID), ("atat", ATAT)])
def test_a_batch_of_two_kinds_of_images_is_twice_as_large(
    method: str, block: dict[str, Any]
) -> None:
    def of_an_image(**changes: Any) -> float:
        few, many = (memory.megabytes(unit(batch=n, **changes), runtime()) for n in (1, 101))
        return many - few

    doubled = of_an_image(method=method, block=json.dumps(block))
    assert doubled == pytest.approx(2 * of_an_image(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kind": "ask", "method": "", "block": "null"},
        {"kind": "query", "method": "brepmi", "prior": "gmi", "prior_block": GMI_PRIOR},
        {"kind": "judge", "method": "verifier", "block": "null", "arch": ""},
        {"kind": "learn", "method": "verifier", "block": JUDGE, "arch": "", "batch": 10},
        {"kind": "learn", "method": "attributes", "block": JUDGE, "arch": "", "batch": 10},
        {"arch": "small_resnet"},
    ],
    ids=str,
)
def test_units_are_measured_by_making_them(changes: dict[str, Any]) -> None:
    found = measure.cost(unit(**changes), torch.device("cpu"))
    assert 0 < found.seconds < 60
    assert (found.megabytes > 0) == (unit(**changes).kind not in ("ask", "query", "judge"))


def test_multiply_adds_are_those_of_a_hand_count() -> None:
    """small_vgg at 16 pixels: two 3 x 3 convolutions each on 256, 64 and 16 places, and four sums.

    A step goes forward, back to the weights, and back to what they meet, but for the pixels. Of the
    three that are measured one more image is scored.
    """
    cpu, first = torch.device("cpu"), 256 * 9 * 3 * 16
    forward = first + 256 * 9 * 16 * 16 + 64 * 9 * (16 * 32 + 32 * 32)
    forward += 16 * 9 * (32 * 64 + 64 * 64) + 4 * 256
    assert measure.cost(unit(kind="ask", method="", block="null"), cpu).macs == forward
    learnt = measure.cost(unit(), cpu).macs
    assert learnt == pytest.approx(8 * (3 * forward - first) + forward / 3, rel=1e-12)


def test_a_slope_of_a_slope_is_counted() -> None:
    """As a critic's penalty takes it: y = x W; dy/dx = 1 W^T; and its square's slope to W."""
    weights = torch.ones(3, 5, requires_grad=True)
    x = torch.ones(2, 3, requires_grad=True)
    with Macs() as done:
        (slope,) = torch.autograd.grad((x @ weights).sum(), x, create_graph=True)
        assert done.total == 2 * (2 * 3 * 5)
        torch.autograd.grad(slope.square().sum(), weights)
    assert done.total == 3 * (2 * 3 * 5)


@pytest.mark.slow
def test_a_step_of_ppa_is_two_passes_of_generator_and_target() -> None:
    """Nothing but the codes learns: forward, and as much back to them."""
    study = params.parse(shipped.text("attacks"))
    asked = {(u.kind, u.method, u.arch): u for stage in work.stages(study) for u, _ in stage.work}
    found = {
        kind: measure.cost(asked[kind, method, "small_vgg"]._replace(batch=8), torch.device("cpu"))
        for kind, method in (("search", "ppa"), ("query", "style"), ("ask", ""))
    }
    macs = {kind: one.macs or 0 for kind, one in found.items()}
    assert macs["ask"] == pytest.approx(9.9e6, rel=1e-3) and macs["query"] > macs["ask"]
    assert macs["search"] == pytest.approx(2 * macs["query"], rel=0.01)


@pytest.mark.parametrize("group", [2, 3, 9])
def test_the_critic_of_a_stylegan_counts(group: int) -> None:
    """Whatever group of images it compares: fewer are measured than a batch has."""
    study = params.parse(shipped.text("style", (0,)))
    changes = {"latent_dim": 4, "base": 64, "most": 8, "layers": 2, "steps": 1, "group": group}
    block = {**study["prior_training"]["style"], **changes, "batch_size": 18}
    one = unit(kind="prior", method="style", block=json.dumps(block), arch="", batch=18)
    found = measure.cost(one, torch.device("cpu"))
    prior = wiring.prior_training("style", block).make(16, 1)
    assert isinstance(prior, style.Prior) and prior.critic is not None
    weights = 4 * 4 * sum(p.numel() for p in prior.parameters())  # with slopes and two momenta
    generator, critic = (18 * activations(net) for net in (prior.generator.synthesis, prior.critic))
    assert found.seconds > 0 and generator > 0 and critic > 0
    assert found.megabytes * 2**20 > weights + generator + critic


def activations(network: torch.nn.Module) -> float:
    """Bytes of what the convolutions of a network return for one image: autograd keeps them all."""
    sizes: list[int] = []
    kinds = (EqualConv, StyledConv)
    hooks = [
        part.register_forward_hook(lambda *args: sizes.append(4 * args[2].numel()))
        for part in network.modules()
        if isinstance(part, kinds)
    ]
    network.eval()(
        torch.rand(1, 6, 4) if isinstance(network, Synthesis) else torch.rand(1, 3, 16, 16)
    )
    for hook in hooks:
        hook.remove()
    return float(sum(sizes))


@pytest.mark.slow
def test_every_kind_of_unit_of_the_attacks_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each method, at toy size; the grown batch is not tried."""
    monkeypatch.setattr(measure, "_LONGEST", 0.0)
    study = params.parse(shipped.text("attacks"))
    units = {(u.kind, u.method, u.prior): u for stage in work.stages(study) for u, _ in stage.work}
    kinds = {"train", "prior", "search", "imitate", "ask", "query", "judge"}
    assert {kind for kind, _, _ in units} == kinds
    for name, one in units.items():
        assert measure.cost(one, torch.device("cpu")).seconds > 0, name


def test_a_larger_batch_is_tried_as_long_as_it_takes_no_more_than_seconds() -> None:
    sizes: list[int] = []

    def run(size: int) -> float:
        sizes.append(size)
        return size / 32

    assert measure._grown(run, 1000) == pytest.approx(1000 / 32)
    assert sizes == [8, 8, 32]  # 128 would take four seconds
    sizes.clear()
    assert measure._grown(run, 16) == pytest.approx(0.5)
    assert sizes == [8, 8, 16]


@pytest.mark.parametrize("arch", ["exported", "dlib_head", "inception_v3"])
def test_nobody_timed_what_cannot_be_built_here(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program is known to its file alone; the packages of the others are optional."""
    if arch != "exported":
        missing(monkeypatch, arch)
    kinds = ("train", "search", "imitate", "ask")
    units = [unit(kind=kind, arch=arch, image_size=300) for kind in kinds]
    if arch == "dlib_head":
        units.append(unit(kind="judge", method="dlib", block="null", arch=""))
    machine = ThisMachine(torch.device("cpu"), tmp_path / "kept.json")
    measure.is_buildable.cache_clear()
    try:
        for one in units:
            assert machine.cost(one) is None
            assert Card.read(H100).cost(one) is None
    finally:
        measure.is_buildable.cache_clear()
    assert not (tmp_path / "kept.json").exists()


def missing(monkeypatch: pytest.MonkeyPatch, arch: str) -> None:
    """As in an installation without the extra that the network needs."""
    names = {"dlib_head": "dlib", "inception_v3": "timm"}
    monkeypatch.setitem(sys.modules, names[arch], None)


def test_an_audit_is_planned_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    monkeypatch.setattr(measure, "cost", lambda *_: Cost(0.001, 1.0))
    monkeypatch.setattr("trapmid.planning.throughputs._imports", lambda **_: 2.0)
    for words in ([], ["--card", str(H100)]):
        assert cli.main(["plan", "audit_drawn", *words]) == 0
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.startswith("a floor: nobody timed ")
        assert "ask exported" in last and "search plgmi exported" in last


# --- a card ---------------------------------------------------------------------------------------


def test_forward_passes_are_counted_as_the_paper_counts_them() -> None:
    """1.257 GMAC of VGG16 at 64 pixels, by hand from the shapes of its convolutions."""
    macs, side = 2048 * 1000, 64
    for layer in vgg16_bn(weights=None).features:
        if isinstance(layer, torch.nn.MaxPool2d):
            side //= 2
        if isinstance(layer, torch.nn.Conv2d):
            macs += layer.in_channels * layer.out_channels * 9 * side**2
    assert card.flops("vgg16", 1000, 64) == pytest.approx(2 * macs)
    assert macs == pytest.approx(1.257e9, rel=0.01)


@pytest.mark.parametrize(
    ("arch", "size", "billions"),
    [("facenet64", 64, 2.060), ("ir152", 64, 4.025), ("facenet112", 112, 6.308)],
)
def test_the_larger_networks_cost_what_their_authors_code_does(
    arch: str, size: int, billions: float
) -> None:
    """Multiply-adds of the released networks, counted on these by another program."""
    assert card.flops(arch, 1000, size) / 2e9 == pytest.approx(billions, rel=0.003)


@pytest.mark.parametrize(
    ("arch", "people", "size", "billions"),
    [
        ("ir18", 5, 64, 0.148),
        pytest.param("resnet152", 1000, 224, 11.514, marks=pytest.mark.slow),
        pytest.param("densenet169", 1000, 224, 3.36, marks=pytest.mark.slow),
        pytest.param("resnest101", 1000, 224, 10.2, marks=pytest.mark.slow),
        pytest.param("inception_v3", 1000, 299, 5.713, marks=pytest.mark.slow),
    ],
)
def test_networks_of_timm_and_torchvision_cost_what_is_published(
    arch: str, people: int, size: int, billions: float
) -> None:
    """Multiply-adds of convolutions and linear layers, as torchvision prints them beside its
    weights (`_ops`); counts with normalisations are 0.3 to 1.2 % higher: 11.56, 3.40 and 5.73.
    """
    assert card.flops(arch, people, size) / 2e9 == pytest.approx(billions, rel=0.003)


def multiply_adds(network: torch.nn.Module, size: int) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.empty(1, 3, size, size, device="meta"))
    return counter.get_total_flops() / 2


def test_mids_bottleneck_costs_two_small_layers() -> None:
    """1.26 GMAC: VGG16's convolutions, 2,048 x 2,048 of the code and 1,024 x 1,000 behind it."""
    block = {"weight": 0.003, "width": 1024, "noise": "fresh"}
    with torch.device("meta"):
        network = wiring.defense("mid", block, "mid").adapt(wiring.target("vgg16")(1000, 64))
    plain = card.flops("vgg16", 1000, 64) / 2
    found = multiply_adds(network, 64)
    assert found == pytest.approx(plain - 2048 * 1000 + 2048 * 2048 + 1024 * 1000)
    assert found == pytest.approx(1.26e9, rel=0.003)


@pytest.mark.slow
def test_facenet_costs_what_facenet_pytorchs_does() -> None:
    """1.42 GMAC at 160 pixels, counted on facenet-pytorch's InceptionResnetV1."""
    with torch.device("meta"):
        network = facenet.Judge()
    assert multiply_adds(network, facenet.SIDE) == pytest.approx(1.42e9, rel=0.005)


def test_the_papers_target_costs_what_was_measured(paper: dict[str, Any]) -> None:
    h100 = Card.read(H100)
    rows = {row["name"]: row["value"] for row in json.loads(H100.read_text("utf-8"))}
    (found,) = [s for s in work.stages(paper) if s.label == "train_target@trapmid-0"]
    (one, steps), _ = found.work
    cost = h100.cost(one)
    assert cost is not None
    epoch = rows["training/default: trapmid: epoch"]
    # 24,000 of 27,000 images: the profile keeps 3,000 for validation
    assert steps * cost.seconds == pytest.approx(50 * epoch * 24 / 27, rel=0.001)
    assert cost.megabytes == rows["training/default: trapmid: peak memory"]
    (prior,) = [s for s in work.stages(paper) if s.label == "train_guided_prior@plgmi-trapmid-0"]
    (one, steps), _ = prior.work
    cost = h100.cost(one)
    assert cost is not None
    assert cost.seconds == pytest.approx(rows["priors/plgmi: iteration"])
    assert steps == 30000
    (search,) = [s for s in work.stages(paper) if s.label == "invert@plgmi-trapmid-0"]
    ((one, count),) = search.work
    cost = h100.cost(one)
    assert cost is not None
    image = rows["searches/plgmi: image"]
    assert count * cost.seconds == pytest.approx(5000 * image, rel=0.001)


def test_four_views_take_twice_as_long_as_two(paper: dict[str, Any]) -> None:
    (search,) = [s for s in work.stages(paper) if s.label == "invert@plgmi-trapmid-0"]
    ((one, _),) = search.work
    block = json.loads(one.block)
    assert block["views"] == 2
    costs = [
        Card.read(H100).cost(one._replace(block=json.dumps(block | {"views": views})))
        for views in (2, 4)
    ]
    assert costs[0] is not None and costs[1] is not None
    assert costs[1].seconds == pytest.approx(2 * costs[0].seconds)


def test_inception_is_no_network_of_the_study(small: dict[str, Any]) -> None:
    study = small | {"evaluation": small["evaluation"] | {"frechet_features": "inception"}}
    assert "Inception" in plan.plan(study, Given(0.0)).untimed
    assert "Inception" not in plan.plan(small, Given(0.0)).untimed


def test_a_step_without_the_search_still_has_twice_the_images(paper: dict[str, Any]) -> None:
    """Between one without a defence and one that moves triggers."""
    (found,) = [s for s in work.stages(paper) if s.label == "train_target@trapmid-0"]
    (searching, _), _ = found.work
    resting = searching._replace(block=searching.block.replace('"until": 1.0', '"until": 0.0'))
    (plain,) = [s for s in work.stages(paper) if s.label == "train_target@none-0"]
    (bare, _), _ = plain.work
    card = Card.read(H100)
    costs = [cost.seconds for one in (bare, resting, searching) if (cost := card.cost(one))]
    assert costs[1] == pytest.approx(2 * costs[0]) and costs[1] < costs[2]


def test_what_nobody_timed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    study = params.parse(shipped.text("paper_attacks", (0,)))
    found = plan.plan(study, Card.read(H100))
    assert "query brepmi vgg16" in found.untimed
    assert "query brepmi vgg16" in plan.table(found, hours=True)[-1]


@pytest.mark.slow
def test_a_card_of_some_measurements_names_the_first_that_it_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row for row in json.loads(H100.read_text("utf-8")) if "trapmid: epoch" not in row["name"]
    ]
    file = tmp_path / "part.json"
    file.write_text(json.dumps(rows), "utf-8")
    monkeypatch.chdir(ROOT)
    assert cli.main(["plan", "paper", "--seeds", "0", "--card", str(file)]) == 2
    found = capsys.readouterr()
    assert "no row 'training/default: trapmid: epoch'; benchmarks/on_gpu.sh" in found.err
    assert found.out == ""


@pytest.mark.parametrize(
    "profile", ["paper", pytest.param("paper_highres", marks=pytest.mark.slow)]
)
def test_the_command_with_a_card(
    profile: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is fetched for it: no data are there, no weights, no connection."""

    def refuse(*_: object) -> None:
        raise AssertionError("a plan asks nobody")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.chdir(ROOT)
    assert cli.main(["plan", profile, "--card", str(H100)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"profile {profile} on NVIDIA H100 80GB HBM3")
    assert "train_guided_prior" in out and "invert" in out
    assert "in all" in out


@pytest.mark.parametrize("content", ["[]", "{", '[{"name": "a"}]'])
def test_a_file_that_is_no_card(
    content: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    file = tmp_path / "card.json"
    file.write_text(content, "utf-8")
    assert cli.main(["plan", "small", "--card", str(file)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"trapmid plan: error: {file}: ")
    assert ("no file of results" in err) == (content == "{")
    assert err.count("\n") == 1


def test_a_card_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(["plan", "small", "--card", "gone.json"]) == 2
    said = "trapmid plan: error: gone.json: no such file or directory\n"
    assert capsys.readouterr().err == said


def test_the_command_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    monkeypatch.setattr(measure, "cost", lambda *_: Cost(0.001, 1.0))
    monkeypatch.setattr("trapmid.planning.throughputs._imports", lambda **_: 2.0)
    assert cli.main(["plan", "small"]) == 0
    out = capsys.readouterr().out
    assert "profile small on this machine, one stage after the other" in out
    assert "by the clock" not in out
    assert (tmp_path / ".scratch/throughputs.json").is_file()


def test_the_command_for_several_stages_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every job but this one is a process that works while units are measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    started, beside = _started(monkeypatch), list[int]()

    def cost(*_: Any) -> Cost:
        beside.append(sum(one.poll() is None for one in started))
        return Cost(0.001, 1.0)

    monkeypatch.setattr(measure, "cost", cost)
    monkeypatch.setattr("trapmid.planning.throughputs._imports", lambda **_: 2.0)
    assert cli.main(["plan", "small", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "profile small on this machine, `trapmid run --jobs 2`" in out
    assert "by the clock, 2 at a time" in out
    assert {*beside} == {1}
    assert cli.main(["plan", "small"]) == 0  # measured for itself, with nothing beside
    assert beside[-1] == 0


def _started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that keep a measurement company, as they begin."""
    found: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def begun(*arguments: Any, **named: Any) -> subprocess.Popen[bytes]:
        found.append(begin(*arguments, **named))
        return found[-1]

    monkeypatch.setattr("trapmid.planning.company.subprocess.Popen", begun)
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_company_works_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    started = _started(monkeypatch)

    def worked() -> list[int]:
        stats = [Path(f"/proc/{one.pid}/stat").read_text("ascii").split() for one in started]
        return [int(stat[13]) for stat in stats]  # ticks in the process itself

    with company(2, 1):
        before = worked()
        time.sleep(1.0)
        assert len(before) == 2
        assert all(then > now for now, then in zip(before, worked(), strict=True))
    assert [one.poll() for one in started] == [0, 0]
    monkeypatch.setattr("sys.executable", "false")
    with pytest.raises(OSError, match="did not begin"), company(1, 1):
        pass


def test_a_face_is_drawn_to_learn_how_fast_a_machine_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known = ThisMachine(torch.device("cpu"), tmp_path / "kept.json", frozen=True)
    assert known.drawing() == 0.0
    known = ThisMachine(torch.device("cpu"), tmp_path / "kept.json")
    assert 0.0001 < known.drawing() < 1.0
    assert capfd.readouterr() == ("", "")
