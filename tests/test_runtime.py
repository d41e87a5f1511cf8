"""Devices, random streams and modes that come back."""

from __future__ import annotations

import ast
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import nn

from toy import ToyTarget, runtime
from trapmid.runtime import (
    Runtime,
    choose_device,
    choose_precision,
    counter_normal,
    counter_uniform,
    eval_mode,
    frozen,
    in_parts,
    onednn_level,
    stream_seed,
)

MASK = (1 << 64) - 1


def splitmix(seed: int, count: int) -> list[int]:
    """SplitMix64 in plain Python integers (Steele, Lea and Flood, 2014)."""
    found, state = [], seed & MASK
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        found.append(z ^ (z >> 31))
    return found


def boom(inside: object) -> RuntimeError:
    """What a block raises after it has seen that `inside` holds."""
    assert inside
    return RuntimeError("boom")


def test_splitmix_itself_gives_the_published_first_numbers() -> None:
    assert splitmix(1234567, 2) == [6457827717110365317, 3203168211198807973]


@pytest.mark.parametrize("key", [0, 1, 1234567, (1 << 63) - 1, -1, -(1 << 63)])
def test_counter_uniform_is_splitmix(key: int) -> None:
    wanted = [(bits >> 40) / 2**24 for bits in splitmix(key, 50)]
    assert counter_uniform(torch.tensor([key]), 50)[0].tolist() == wanted


def test_counter_uniform_is_uniform_and_adjacent_keys_are_independent() -> None:
    keys = torch.arange(4000) + stream_seed(0, "any")
    u = counter_uniform(keys, 9)
    assert u.dtype == torch.float32 and u.min() >= 0 and u.max() < 1
    assert stats.kstest(u.flatten().numpy(), "uniform").pvalue > 1e-3
    for column in range(9):
        assert stats.kstest(u[:, column].numpy(), "uniform").pvalue > 1e-4
    bound = 4.5 / math.sqrt(len(keys))  # of a correlation of independent numbers
    neighbours = torch.corrcoef(torch.stack([u[:-1, 0], u[1:, 0]]))[0, 1]
    assert abs(neighbours) < bound
    between_columns = torch.corrcoef(u.T) - torch.eye(9)
    assert between_columns.abs().max() < bound
    # Independence beyond correlation: pairs of neighbours fill the unit square evenly.
    attack_runs = (u[:-1, 0] * 8).long() * 8 + (u[1:, 0] * 8).long()
    assert stats.chisquare(torch.bincount(attack_runs, minlength=64).numpy()).pvalue > 1e-4


def test_counter_uniform_depends_on_the_key_alone() -> None:
    keys = torch.randint(1 << 62, (20,), generator=torch.Generator().manual_seed(0))
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    u = counter_uniform(keys, 6)
    assert torch.equal(counter_uniform(keys[order], 6), u[order])
    assert torch.equal(counter_uniform(keys[3:4], 6), u[3:4])
    assert torch.equal(counter_uniform(keys, 4), u[:, :4])


def test_counter_normal_is_normal_and_finite() -> None:
    z = counter_normal(torch.arange(5000), 4)
    assert z.isfinite().all()
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-3


def test_stream_seeds_are_stable_and_differ_by_scope() -> None:
    assert stream_seed(0, "a", 1) == stream_seed(0, "a", 1)
    seeds = {stream_seed(s, *scope) for s in (0, 1) for scope in (("a",), ("a", 1), ("b",), ())}
    assert len(seeds) == 8
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_seeded_draws_what_torch_draws_of_its_seed() -> None:
    torch.manual_seed(stream_seed(3, "x", 1))
    expected = torch.rand(4), torch.randn(20), torch.randperm(9)
    with runtime(seed=3).seeded("x", 1):
        found = torch.rand(4), torch.randn(20), torch.randperm(9)
    assert all(map(torch.equal, found, expected))


def test_seeded_on_the_cpu_leaves_every_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.manual_seed does not: without a GPU it leaves its wish in a queue."""
    queued, asked = len(torch.cuda._queued_calls), []
    for module in (torch.cuda, torch.mps, torch.xpu):
        for name in ("manual_seed", "manual_seed_all", "get_rng_state", "set_rng_state"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda *_, **__: asked.append(1))
    with runtime().seeded("x"):
        torch.rand(1)
    assert not asked and len(torch.cuda._queued_calls) == queued
    torch.manual_seed(0)
    assert asked  # the spies see


def test_seeded_on_a_mac_seeds_its_gpu_and_gives_the_stream_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = torch.Generator().manual_seed(9)  # stands for the GPU's
    monkeypatch.setattr(torch.mps, "manual_seed", gpu.manual_seed)
    monkeypatch.setattr(torch.mps, "get_rng_state", gpu.get_state)
    monkeypatch.setattr(torch.mps, "set_rng_state", gpu.set_state)
    rt, before = Runtime(device=torch.device("mps"), seed=3, precision="fp32"), gpu.get_state()
    with rt.seeded("x"):
        assert gpu.initial_seed() == stream_seed(3, "x")
        first = torch.rand(4, generator=gpu)
    assert torch.equal(gpu.get_state(), before)
    with rt.seeded("x"):
        assert torch.equal(torch.rand(4, generator=gpu), first)


def test_seeded_draws_the_stream_and_gives_the_old_one_back() -> None:
    rt = runtime(seed=3)
    before = torch.get_rng_state()
    with rt.seeded("x", 1):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)  # what ran before does not matter
    with rt.seeded("x", 1):
        assert torch.equal(torch.rand(4), first)
    with rt.seeded("x", 2):
        assert not torch.equal(torch.rand(4), first)
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="boom"), rt.seeded("x", 1):
        raise boom(torch.rand(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(
        torch.rand(3, generator=rt.generator("g")), torch.rand(3, generator=rt.generator("g"))
    )


def test_precision_is_known_and_autocasts() -> None:
    with pytest.raises(ValueError, match=r"precision: 'fp16' is not one of fp32, bf16"):
        Runtime(device=torch.device("cpu"), seed=0, precision="fp16")
    layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    with runtime(precision="bf16").autocast():
        assert layer(x).dtype == torch.bfloat16
    with runtime().autocast():
        assert layer(x).dtype == torch.float32


FEATURES = {"amd": {"avx512_bf16": True}, "intel": {"amx_bf16": True}, "old": {"avx2": True}}


@pytest.mark.parametrize(
    ("processor", "level", "chosen"),
    [
        ("amd", None, "bf16"),
        ("intel", None, "bf16"),
        ("old", None, "fp32"),
        ("amd", "AVX2", "fp32"),
        ("intel", "AVX512_CORE_VNNI", "fp32"),
        ("intel", "AVX512_CORE_AMX", "bf16"),
        ("amd", "avx512_core_bf16", "bf16"),
        ("old", "ALL", "fp32"),
    ],
)
def test_auto_is_bf16_where_the_processor_has_it_and_may_use_it(
    monkeypatch: pytest.MonkeyPatch, processor: str, level: str | None, chosen: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: FEATURES[processor])
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if level is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", level)
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == chosen
    assert choose_precision("fp32", cpu) == "fp32" and choose_precision("bf16", cpu) == "bf16"
    assert choose_precision("auto", torch.device("mps")) == "fp32"


_CALLED = {  # by oneDNN's own log
    "Intel SSE4.1": "SSE41",
    "Intel AVX": "AVX",
    "Intel AVX2": "AVX2",
    "Intel AVX2 with Intel DL Boost": "AVX2_VNNI",
    "Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions": "AVX512_CORE",
    "Intel AVX-512 with Intel DL Boost": "AVX512_CORE_VNNI",
    "Intel AVX-512 with Intel DL Boost and bfloat16 support": "AVX512_CORE_BF16",
}
_CONVOLVES = "import torch; torch.nn.Conv2d(3, 8, 3)(torch.rand(2, 3, 8, 8))"


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["", "AVX2", "avx512_core", "AVX512_CORE_AMX", "nonsense"])
def test_the_level_of_onednn_is_the_one_that_it_logs(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", bound)
    log = subprocess.run(
        [sys.executable, "-c", _CONVOLVES],
        env=os.environ | {"ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    said = re.search(r"info,cpu,isa:(.*)", log)
    if said is None or said[1] not in _CALLED:
        pytest.skip(f"a processor that this test does not know: {said and said[1]}")
    assert onednn_level() == _CALLED[said[1]]


def test_the_level_of_onednn_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No x86: none. A bound above the processor's level is no bound, one below it is the level."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"neon": True})
    assert onednn_level() == ""
    laptop = dict.fromkeys(("sse4_1", "avx", "avx2", "avx_vnni"), True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: laptop)
    assert onednn_level() == "AVX2_VNNI"
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    assert onednn_level() == "AVX2"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    assert onednn_level() == "AVX2_VNNI"


POLICY = """
import importlib.abc, os, sys
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print(os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"))
            raise SystemExit  # to load it takes two seconds
sys.meta_path.insert(0, Watch())
sys.path.insert(0, "stages")
import _stage
"""
"""Says which policy of waiting stands as a stage loads torch."""


@pytest.mark.parametrize(
    ("own", "seen"),
    [
        ({}, "None 2000"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
        ({"GOMP_SPINCOUNT": "5"}, "None 5"),
    ],
)
def test_threads_of_a_stage_soon_sleep_while_they_wait(own: dict[str, str], seen: str) -> None:
    """OpenMP reads its environment once, as torch is loaded: later is too late."""
    policy = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {key: value for key, value in os.environ.items() if key not in policy}
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", POLICY]
    done = subprocess.run(
        command, cwd=root, env=environment | own, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == seen


def test_only_the_shared_module_of_the_stages_names_torch() -> None:
    """Scripts load `_stage` first, and it loads trapmid before torch."""
    stages = Path(__file__).parents[1] / "stages"
    named = {
        path.name
        for path in stages.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and any(name.name == "torch" for name in node.names)
    }
    assert named == {"_stage.py"}


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAPMID_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    monkeypatch.setenv("TRAPMID_DEVICE", "abacus")
    with pytest.raises(ValueError, match=r"TRAPMID_DEVICE: 'abacus' .* choose one of auto, cpu"):
        choose_device()
    monkeypatch.delenv("TRAPMID_DEVICE")
    assert choose_device().type in ("cpu", "cuda", "mps")


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"'cuda:2' is not here; the last GPU is cuda:1$"):
        choose_device("cuda:2")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("device", "last"), [("cpu", True), ("meta", False)])
def test_a_network_is_placed_as_its_device_computes(
    device: str, last: bool, precision: str
) -> None:
    """On a CPU kernels are channels last; where nobody measured, they stay as they are."""
    rt = Runtime(device=torch.device(device), seed=0, precision=precision)
    weight = rt.place(nn.Conv2d(3, 4, 3)).weight
    assert weight.device.type == device
    assert weight.is_contiguous(memory_format=torch.channels_last) is last


def test_eval_mode_gives_every_part_its_mode_back() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))
    model.train()
    model[1][1].eval()
    modes = [part.training for part in model.modules()]
    with pytest.raises(RuntimeError, match="boom"), eval_mode(model):
        raise boom(not any(part.training for part in model.modules()))
    assert [part.training for part in model.modules()] == modes


def test_frozen_gives_every_flag_back() -> None:
    model = ToyTarget(3)
    model.norm.bias.requires_grad_(False)
    flags = [p.requires_grad for p in model.parameters()]
    with pytest.raises(RuntimeError, match="boom"), frozen(model):
        raise boom(not any(p.requires_grad for p in model.parameters()))
    assert [p.requires_grad for p in model.parameters()] == flags


# --- memory -------------------------------------------------------------------------------------


def room_for(most: int, asked: list[slice]) -> Callable[[slice], list[int]]:
    """Work that gives back its rows, and has memory for so many."""

    def work(rows: slice) -> list[int]:
        asked.append(rows)
        numbers = list(range(rows.start, rows.stop))
        if len(numbers) > most:
            raise torch.cuda.OutOfMemoryError("full")
        return numbers

    return work


def test_rows_that_do_not_fit_are_asked_for_again_half_as_many_at_once() -> None:
    asked: list[slice] = []
    with pytest.warns(UserWarning, match="goes on with") as told:
        parts = in_parts(11, 8, room_for(3, asked))
    assert parts == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10]]
    assert [rows.stop - rows.start for rows in asked] == [8, 4, 2, 2, 2, 2, 2, 1]
    assert [str(w.message).split()[-4] for w in told] == ["4", "2"]


def test_rows_that_fit_are_asked_for_once() -> None:
    asked: list[slice] = []
    assert in_parts(5, 2, room_for(2, asked)) == [[0, 1], [2, 3], [4]]
    assert len(asked) == 3
    assert in_parts(0, 2, room_for(2, asked)) == []


def test_a_row_that_does_not_fit_alone_ends_the_work() -> None:
    full = pytest.raises(torch.cuda.OutOfMemoryError)
    with pytest.warns(UserWarning, match="with 1 images"), full:
        in_parts(3, 2, room_for(0, []))
