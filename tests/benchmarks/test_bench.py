"""The benchmark: ours computes what the published procedures compute, and every path is timed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from bench import limit, timing
from bench.paths import running, scores, training
from bench.paths.labels import STARTS, Found, Proposals
from bench.paths.priors import METHODS, Iterations
from bench.paths.searches import PUBLISHED, Search
from bench.paths.styles import Phases
from bench.paths.surrogates import Epochs
from bench.paths.training import Steps, Trained
from bench.plain import labels as published_labels
from bench.plain import loading
from bench.plain import scores as plain
from bench.plain import styles as published_styles
from bench.rows import KEYS
from bench.worlds import world
from gpu.study import World
from torch import Tensor

from trapmid import cli
from trapmid.attacks import brepmi, ifgmi, ppa
from trapmid.attacks import plgmi as plgmi_search
from trapmid.metrics.statistics import clusters
from trapmid.priors import gmi, kedmi, plgmi
from trapmid.runtime import counter_normal, counter_uniform
from trapmid.search import distribution, latents
from trapmid.surrogates import distil
from trapmid.training import distillation, pseudo_labels

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world("laptop", quick=True, scratch=tmp_path_factory.getbasetemp() / "bench")


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in float64, where rounding cannot hide a difference of the maths.

    The library widens half precision to float32; here the same places widen to float32 at least.
    """

    def wider(draw: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Tensor]:
        return lambda keys, count: draw(keys, count).double()

    def at_least_single(one: Tensor) -> Tensor:
        return one.to(torch.promote_types(one.dtype, torch.float32))

    monkeypatch.setattr(torch.Tensor, "float", at_least_single)
    for module in (gmi, kedmi, plgmi, pseudo_labels, distil, distillation):
        monkeypatch.setattr(module, "to_float", lambda images: images.double() / 255)
    for searching in (latents, distribution, brepmi):
        monkeypatch.setattr(searching, "counter_normal", wider(counter_normal))
    for viewing in (plgmi_search, ppa, ifgmi, published_styles):
        monkeypatch.setattr(viewing, "counter_uniform", wider(counter_uniform))
    monkeypatch.setattr(published_labels, "counter_normal", wider(counter_normal))
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def apart(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference of two networks of the same names."""
    assert one.keys() == other.keys()
    floats = [name for name, value in one.items() if value.is_floating_point()]
    assert all(one[name].dtype == torch.float64 for name in floats)
    return max(float((one[name] - other[name]).abs().max()) for name in floats)


def moved(steps: Steps | Iterations, after: Mapping[str, Tensor]) -> float:
    """How far a training of one more step is from `after`: it must not stand still."""
    kind = type(steps)
    more = kind(**{**vars(steps), "steps": steps.steps + 1})  # type: ignore[arg-type]
    found = more.ours(time.process_time).result
    return apart(found.weights if isinstance(found, Trained) else found, after)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("defense", ["trapmid", "cheap trapmid"])
def test_the_fast_trap_mid_step_equals_the_plain_one(defense: str, small: World) -> None:
    """Three steps: weights of both networks and all triggers, in float64.

    Of the cheap one the discriminator learns at the first and the third.
    """
    steps = Steps(small, defense, batch=8, steps=3)
    ours, published = (side(time.process_time).result for side in (steps.ours, steps.reference))
    assert isinstance(ours, Trained)
    assert isinstance(published, Trained)
    assert apart(ours.weights, published.weights) < 1e-12
    assert ours.critic is not None
    assert published.critic is not None
    assert apart(ours.critic, published.critic) < 1e-12
    assert ours.triggers is not None
    assert published.triggers is not None
    assert torch.equal(ours.triggers, published.triggers)
    drawn = torch.rand(ours.triggers.shape, generator=small.runtime().generator("triggers"))
    assert (ours.triggers != drawn).double().mean() > 0.5
    assert moved(Steps(small, defense, batch=8, steps=3), ours.weights) > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("defense", "batch"), [("none", 8), ("mid", 8), ("bido", 64)])
def test_other_steps_equal_the_published_ones(small: World, defense: str, batch: int) -> None:
    steps = Steps(small, defense, batch=batch, steps=2)
    ours, published = (side(time.process_time).result for side in (steps.ours, steps.reference))
    assert isinstance(ours, Trained)
    assert isinstance(published, Trained)
    # BiDO: officially a matrix is inverted that is centred on one side alone
    assert apart(ours.weights, published.weights) < (1e-9 if defense == "bido" else 1e-12)
    assert moved(Steps(small, defense, batch=batch, steps=2), ours.weights) > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("method", METHODS)
def test_iterations_of_priors_equal_the_published_ones(small: World, method: str) -> None:
    """PLG-MI's to 1e-6: a picture goes to HSV and back, the identity but for an epsilon."""
    steps = Iterations(small, method, steps=4)
    ours, published = (side(time.process_time).result for side in (steps.ours, steps.reference))
    assert isinstance(ours, dict)
    assert isinstance(published, dict)
    assert apart(ours, published) < (1e-6 if method == "plgmi" else 1e-9)
    assert moved(Iterations(small, method, steps=4), ours) > 1e-5


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", PUBLISHED)
def test_searches_equal_the_published_ones(small: World, name: str) -> None:
    search = Search(small, name, images=6, steps=4)
    ours, published = (side(time.process_time).result for side in (search.ours, search.reference))
    assert isinstance(ours, Tensor)
    assert isinstance(published, Tensor)
    tolerance = {"plgmi": 1e-5, "kedmi": 1e-9, "lomma_kedmi": 1e-9}.get(name, 1e-12)
    assert float((ours - published).abs().max()) < tolerance
    longer = Search(small, name, images=6, steps=5).ours(time.process_time).result
    assert isinstance(longer, Tensor)
    assert float((longer - ours).abs().max()) > 1000 * tolerance  # slopes are flat at the start


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_distillation_equals_the_published_one(small: World) -> None:
    """Two epochs of three students at once, with the teacher's answers kept."""
    epochs = Epochs(small, 2)
    ours, published = (side(time.process_time).result for side in (epochs.ours, epochs.reference))
    assert isinstance(ours, dict)
    assert isinstance(published, dict)
    assert apart(ours, published) < 1e-12
    more = Epochs(small, 3).ours(time.process_time).result
    assert isinstance(more, dict)
    assert apart(ours, more) > 1e-3


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_label_only_proposals_equal_the_published_ones(small: World) -> None:
    """Spheres widen from 20 of 32 points on, so that some do."""
    proposals = Proposals(small, people=6, proposals=5, changes={"inside": 20} | STARTS)
    ours, published = (
        side(time.process_time).result for side in (proposals.ours, proposals.reference)
    )
    assert isinstance(ours, Found)
    assert isinstance(published, Found)
    assert ours.expansions.tolist() == published.expansions.tolist()
    assert ours.moves.tolist() == published.moves.tolist()
    assert float((ours.kept - published.kept).abs().max()) < 1e-12
    assert float((ours.radius - published.radius).abs().max()) < 1e-12
    assert 0 < ours.expansions.sum() < 30
    assert ours.moves.sum() > 0


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_the_phases_of_style_searches_equal_the_published_ones(small: World) -> None:
    for layer in small.study["attacks"]["ifgmi"]["layers"]:
        layer["radius"] = 0.5  # features come to the edge of their ball in the first step
    phases = Phases(small, pool=12, keep=3, rows=9, steps=3, deep=2)
    clock = time.process_time
    order = phases.candidates(clock).result
    assert isinstance(order, Tensor)
    assert torch.equal(order, phases.published_candidates(clock).result)  # type: ignore[arg-type]
    assert len(order.unique(dim=0)) > 1
    for ours, published in (
        (phases.search, phases.published_search),
        (phases.selection, phases.published_selection),
        (phases.layers, phases.published_layers),
    ):
        one, other = ours(clock).result, published(clock).result
        assert isinstance(one, Tensor)
        assert isinstance(other, Tensor)
        assert one.dtype == torch.float64
        assert float((one - other).abs().max()) < 1e-9
        assert one.flatten(1).std(dim=0).min() > 0 if one.ndim > 1 else one.std() > 0


def test_prepared_pictures_equal_the_published_ones(tmp_path: Path) -> None:
    files = running.pictures(tmp_path, 3)
    ours = running.prepared(files, 32, time.process_time).result
    assert isinstance(ours, Tensor)
    assert torch.equal(ours, (255 * loading.prepared(files, 32)).round().byte())
    assert ours[0].float().std() > 10


@pytest.mark.slow
def test_images_made_at_once_are_those_made_one_by_one(small: World) -> None:
    search = Search(small, "gmi", images=6, steps=1)
    torch.testing.assert_close(search.images_at_once(), search.images_one_by_one())


@pytest.mark.parametrize("name", scores.PAIRS)
def test_metrics_equal_the_published_loops(name: str) -> None:
    pair, rows = scores.PAIRS[name], scores.Rows.drawn(scores.TOY)
    ours, loop = pair.ours(rows), pair.reference(rows)
    if name == "top-n":
        assert ours == loop
    elif name.startswith("bootstrap of people"):
        # Eight people: the percentiles lie further out by design, and other people are drawn
        assert loop[0] - 0.2 < ours[0] < loop[0] + 0.03
        assert loop[1] - 0.03 < ours[1] < loop[1] + 0.2
    elif isinstance(ours, Tensor):
        torch.testing.assert_close(ours, loop.to(ours.dtype), rtol=1e-5, atol=1e-6)
    elif isinstance(ours, list):
        assert ours == loop
        assert len(set(ours)) == 2
    elif isinstance(ours, float):
        assert ours == pytest.approx(loop, rel=1e-5)
    else:
        assert vars(ours) == pytest.approx(vars(loop), rel=1e-9)


@pytest.mark.parametrize(("name", "times"), [("", 3), (", draws kept", 0)])
def test_a_bootstrap_draws_whenever_it_is_timed(
    name: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what grows with people, the drawing, is timed by nobody."""
    drawn: list[int] = []
    draw = clusters._drawn

    def counted(number: int, seed: int) -> Any:
        drawn.append(number)
        return draw(number, seed)

    pair, rows = scores.PAIRS[f"bootstrap of people{name}"], scores.Rows.drawn(scores.TOY)
    pair.ours(rows)  # warms up
    monkeypatch.setattr(clusters, "_drawn", counted)
    for _ in range(3):
        pair.ours(rows)
    assert drawn == [scores.TOY.people] * times


def test_ties_are_broken_as_the_published_queue_breaks_them() -> None:
    """Few distinct probabilities, so that most boundaries are tied; and as many rows as wanted."""
    generator = torch.Generator().manual_seed(0)
    for rows, n, levels in ((40, 7, 3), (40, 7, 30), (9, 9, 2), (25, 1, 4)):
        p = torch.randint(levels, (rows, 5), generator=generator).float() / levels
        indices, labels = plain.top_n(p, n)
        ours = pseudo_labels.top_n_selection(p, n)
        assert (ours[0].tolist(), ours[1].tolist()) == (indices, labels)


def test_a_delivered_epoch_equals_the_loaders(small: World) -> None:
    chosen = loading.pictures(10, small.sizes.image_size)
    ours, one_by_one = scores.deliver(chosen), scores.deliver_one_by_one(chosen)
    assert len(ours) == len(one_by_one) == 1
    assert torch.equal(ours[0], one_by_one[0])


def test_work_is_counted_through_a_gradient_of_a_gradient() -> None:
    """x (8, 4) times a matrix (4, 3): 2 * 8 * 4 * 3 operations a product."""
    matrix = torch.ones(4, 3, requires_grad=True)
    x = torch.ones(8, 4, requires_grad=True)

    def penalty() -> None:
        (slope,) = torch.autograd.grad((x @ matrix).square().sum(), x, create_graph=True)
        slope.square().sum().backward()

    one = 2 * 8 * 4 * 3
    assert limit.counted(lambda: x @ matrix) == one
    # Forward, its gradient of x, and five products of both of these differentiated
    assert limit.counted(penalty) > 3 * one


def test_the_limit_is_the_longer_of_computing_and_moving() -> None:
    rates = limit.Rates({"fp32": 100.0}, 10.0)
    assert rates.least(200.0, 10.0, "fp32") == 2.0
    assert rates.least(200.0, 50.0, "fp32") == 5.0


@pytest.mark.parametrize("native", [False, True])
def test_no_rate_is_measured_that_no_path_asks_for(
    small: World, monkeypatch: pytest.MonkeyPatch, *, native: bool
) -> None:
    """bf16 that a processor emulates took the whole time of a run."""
    for module in (limit, training):
        monkeypatch.setattr(module, "bf16_is_native", lambda device: native)
    known = limit.rates(time.perf_counter, quick=True).flops
    asked = {path.precision for path in training.paths({"laptop": small, "paper": small})}
    assert asked <= known.keys()
    assert ("bf16" in known) is ("bf16" in asked) is native


def test_both_sides_run_in_turn_and_seconds_are_of_a_unit() -> None:
    order: list[str] = []
    ticks = iter(range(100))

    def action(name: str) -> Callable[[Any], None]:
        return lambda now: order.append(name)

    path = timing.Path(
        name="", ours=action("a"), reference=action("b"), units=4, unit="step", heavy=True
    )
    times = timing.measure(path, timing.Plan(3, 100.0, lambda: float(next(ticks))))
    assert order == ["a", "b"] * 3
    assert list(times.ours) == list(times.reference) == [0.25] * 3
    assert timing.spread([1.0, 2.0, 3.0]) == 0.5


@pytest.mark.slow
def test_quick_times_every_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    out = tmp_path / "rows.json"
    assert cli.main(["bench", "--quick", "--out", str(out)]) == 0
    rows = json.loads(out.read_text("utf-8"))
    text = capsys.readouterr().out
    assert len(rows) > 20
    for row in rows:
        assert set(KEYS) <= row.keys()
        assert row["name"] in text
        assert row["ours_s"] > 0
        if row["reference_s"] is not None:
            assert row["ratio"] == pytest.approx(row["reference_s"] / row["ours_s"], rel=0.01)
    kinds = ["trapmid step", "prior", "search", "KNN", "delivery", "start of", "book-keeping"]
    kinds += ["brepmi", "ppa candidates", "ppa selection", "distillation", "preparation"]
    kinds += ["cheap trapmid step", "lomma_kedmi search", "ifgmi search"]
    for kind in kinds:
        assert [row for row in rows if kind in row["name"]]


def test_an_unknown_path_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(["bench", "--only", "nothing like it"]) == 2
    err = capsys.readouterr().err
    assert "no path is called 'nothing like it'; there are" in err
    assert "; none step, small VGG, 32 px; " in err  # names hold commas


def test_outside_a_clone_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["bench"]) == 1
    err = capsys.readouterr().err
    assert err == "trapmid bench: error: no benchmarks/bench here; run this in a clone\n"
