"""Files in NVIDIA's format, written here with stand-ins for their classes, and hostile ones."""

from __future__ import annotations

import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from toy import runtime
from trapmid import cli, wiring
from trapmid.artifacts import checkpoints, nvidia, priors
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.nets.stylegan2 import Generator, Size

SIZE = Size(image_size=8, z_dim=6, w_dim=6, base=32, most=8, layers=2, clamp=256.0)
KWARGS: dict[str, Any] = {
    "z_dim": 6,
    "c_dim": 0,
    "w_dim": 6,
    "img_resolution": 8,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {"channel_base": 32, "channel_max": 8, "conv_clamp": 256},
}
SOURCE = "raise SystemExit('the source of a file was run')"
BLOCK: dict[str, Any] = {
    "latent_dim": 6,
    "base": 32,
    "most": 8,
    "layers": 2,
    "clamp": 256.0,
    "generated": None,
    "crop": 1.0,
    "critic": False,
    "candidates": None,
    "steps": 0,
    "batch_size": 4,
    "lr": 0.002,
    "betas": [0.0, 0.99],
    "penalty": 0.1,
    "penalty_every": 16,
    "group": 4,
    "mirror": 0.5,
    "half_life": 100.0,
    "precision": "fp32",
    "keep_every": 1,
}


class _EasyDict(dict[str, Any]):
    """As NVIDIA's: a dictionary of another name."""


class Persistent:
    """Pickles as an object of `torch_utils.persistence` does."""

    def __init__(self, class_name: str, state: dict[str, Any], source: str = SOURCE) -> None:
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": source,
            "class_name": class_name,
            "state": state,
        }

    def __reduce__(self) -> Any:
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


def described(module: nn.Module, class_name: str = "Part") -> Persistent:
    """A module as NVIDIA's file has it: dictionaries of parameters, buffers and modules."""
    state: dict[str, Any] = {
        "training": False,
        "weight_gain": np.float64(0.25),
        "_parameters": OrderedDict(module._parameters),
        "_buffers": OrderedDict(module._buffers),
        "_non_persistent_buffers_set": set(),
        "_modules": OrderedDict((k, described(v)) for k, v in module._modules.items() if v),
    }
    return Persistent(class_name, state)


def network(**changes: Any) -> tuple[Generator, Persistent]:
    torch.manual_seed(3)
    generator = Generator(SIZE)
    generator.mapping.w_avg.normal_()
    whole = described(generator, "Generator")
    whole.meta["state"]["_init_kwargs"] = _EasyDict(KWARGS | changes)
    return generator, whole


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a pickle whose functions are called as NVIDIA's; they are gone when it is read."""

    def _write(content: Any) -> Path:
        def _reconstruct_persistent_obj(meta: Any) -> None:
            raise AssertionError(meta)

        with monkeypatch.context() as patch:
            for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
                patch.setitem(sys.modules, name, ModuleType(name))
            _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
            _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
            module = sys.modules["torch_utils.persistence"]
            module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore
            _EasyDict.__module__, _EasyDict.__qualname__ = "dnnlib.util", "EasyDict"
            sys.modules["dnnlib.util"].EasyDict = _EasyDict  # type: ignore
            (path := tmp_path / "net.pkl").write_bytes(pickle.dumps(content))
        return path

    return _write


def test_a_generator_comes_through(write: Any, tmp_path: Path) -> None:
    generator, whole = network()
    source = write({"G": None, "D": None, "G_ema": whole, "training_set_kwargs": {}})
    written = source.read_bytes()
    for name in (b"torch_utils.persistence", b"EasyDict", b"multiarray", b"_load_from_bytes"):
        assert name in written
    found = nvidia.convert(source, tmp_path / "style.pt")
    assert found.size == SIZE
    assert found.parameters == sum(p.numel() for p in generator.parameters())
    content = checkpoints.load(tmp_path / "style.pt")
    state = {f"generator.{name}": value for name, value in generator.state_dict().items()}
    assert content["state"].keys() == state.keys()
    assert all(torch.equal(value, content["state"][name]) for name, value in state.items())
    assert content["licence"].startswith("NVIDIA") and len(content["source_sha256"]) == 64


def test_a_prior_starts_from_it(write: Any, tmp_path: Path) -> None:
    generator, whole = network()
    nvidia.convert(write({"G_ema": whole}), tmp_path / "style.pt")
    training = wiring.prior_training("style", BLOCK)
    prior = priors.start(training, 8, 1, tmp_path / "style.pt", runtime()).eval()
    z = torch.randn(3, 6)
    with torch.no_grad():
        wanted = (generator(z).clamp(-1, 1) + 1) / 2
        assert torch.allclose(prior(z, torch.zeros(3, dtype=torch.int64)), wanted, atol=1e-5)
        assert torch.equal(prior.realism(wanted, torch.zeros(3)), torch.zeros(3))


@pytest.mark.parametrize(("key", "value"), [("clamp", None), ("clamp", 128.0), ("base", 64)])
def test_a_prior_of_another_size_does_not_start_from_it(
    write: Any, tmp_path: Path, key: str, value: Any
) -> None:
    """No shape tells what bounds a convolution: weights of a network with another bound fit."""
    nvidia.convert(write({"G_ema": network()[1]}), tmp_path / "style.pt")
    training = wiring.prior_training("style", BLOCK | {key: value})
    line = rf"style\.pt: is of a generator whose {key} is {BLOCK[key]}, that of the row is {value}$"
    with pytest.raises(CheckpointError, match=line):
        priors.start(training, 8, 1, tmp_path / "style.pt", runtime())


class Payload:
    """What a hostile file holds: a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [os.system, eval, getattr, __import__, exec, print])
def test_a_payload_is_refused_and_not_run(
    write: Any, tmp_path: Path, function: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "marker"
    source = write({"x": Payload(function, f"touch {marker}"), "G_ema": network()[1]})
    with pytest.raises(CheckpointError, match=r"net\.pkl: names \w+\.\w+, which a StyleGAN2 file"):
        nvidia.convert(source, tmp_path / "style.pt")
    assert not marker.exists() and not (tmp_path / "style.pt").exists()
    assert capsys.readouterr().out == ""


def test_a_number_of_objects_is_refused(write: Any, tmp_path: Path) -> None:
    source = write({"x": np.dtype("O"), "G_ema": network()[1]})
    with pytest.raises(
        CheckpointError, match=r"no pickle of NVIDIA's .*'O8' is no type of numbers"
    ):
        nvidia.convert(source, tmp_path / "style.pt")


def test_embedded_source_is_never_run(write: Any, tmp_path: Path) -> None:
    _, whole = network()
    marker = tmp_path / "marker"
    whole.meta["module_src"] = f"open({str(marker)!r}, 'w')"
    nvidia.convert(write({"G_ema": whole}), tmp_path / "style.pt")
    assert not marker.exists()


def test_files_that_are_no_generators(write: Any, tmp_path: Path) -> None:
    def refused(content: Any, message: str) -> None:
        with pytest.raises(CheckpointError, match=message):
            nvidia.convert(write(content), tmp_path / "style.pt")
        assert not (tmp_path / "style.pt").exists()

    refused([1, 2], r"net\.pkl: holds no StyleGAN2 generator under 'G_ema'")
    refused({"G_ema": Persistent("Critic", {})}, "holds no StyleGAN2 generator")
    refused({"G_ema": network(c_dim=10)[1]}, "must be unconditional and of three colours")
    refused({"G_ema": network(img_resolution=48)[1]}, "its size is unknown .*48")
    refused({"G_ema": network(img_resolution=16)[1]}, r"weights missing, first synthesis\.b16")
    refused({"G_ema": network(mapping_kwargs={"num_layers": 1})[1]}, "2 weights unknown, first map")
    refused({"G_ema": network(z_dim=7)[1]}, "must have NVIDIA's mapping: z as wide as w")
    wide = network(z_dim=7, w_dim=7)[1]
    refused({"G_ema": wide}, r"mapping\.w_avg is \(6,\), must be \(7,\)")
    _, whole = network()
    whole.meta["state"]["_modules"]["mapping"].meta["state"]["_buffers"]["w_avg"][0] = torch.nan
    refused({"G_ema": whole}, r"mapping\.w_avg is not finite")
    (tmp_path / "net.pkl").write_bytes(b"<html>not found</html>")
    with pytest.raises(CheckpointError, match=r"net\.pkl: no pickle of NVIDIA's"):
        nvidia.convert(tmp_path / "net.pkl", tmp_path / "style.pt")
    with pytest.raises(CheckpointError, match=r"other\.pkl: no such file"):
        nvidia.convert(tmp_path / "other.pkl", tmp_path / "style.pt")


def test_damaged_attributes_are_one_line(write: Any, tmp_path: Path) -> None:
    def refused(**attributes: Any) -> None:
        _, whole = network()
        whole.meta["state"].update(attributes)
        with pytest.raises(CheckpointError, match=r"net\.pkl: "):
            nvidia.convert(write({"G_ema": whole}), tmp_path / "style.pt")
        assert not (tmp_path / "style.pt").exists()

    refused(_init_kwargs=5)
    refused(_init_kwargs=KWARGS | {"mapping_kwargs": None})
    refused(_init_kwargs=KWARGS | {"w_dim": float("inf"), "z_dim": float("inf")})
    refused(_init_kwargs=KWARGS | {"img_resolution": 2**62})
    refused(_init_kwargs=KWARGS | {"mapping_kwargs": {"num_layers": 10**12}})  # none is made
    refused(_init_kwargs=KWARGS | {"mapping_kwargs": {"num_layers": 0}})
    refused(_modules=[1])
    refused(_buffers=3)
    modules: dict[str, Any] = {}
    modules["deeper"] = Persistent("Part", {"_modules": modules})  # for ever
    refused(_modules=modules)


def test_files_that_are_not_read_or_not_written(write: Any, tmp_path: Path) -> None:
    source = write({"G_ema": network()[1]})
    before = source.read_bytes()
    with pytest.raises(CheckpointError, match=r"net\.pkl: is read, so it cannot be written"):
        nvidia.convert(source, source)
    assert source.read_bytes() == before
    with pytest.raises(CheckpointError, match=r": cannot be read \(Is a directory\)"):
        nvidia.convert(tmp_path, tmp_path / "style.pt")


def test_the_command(write: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write({"G_ema": network()[1]}), tmp_path / "style.pt"
    assert cli.main(["convert-stylegan", str(source), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "8 pixels" in printed and "latent_dim: 6" in printed and "clamp: 256.0" in printed
    bad = write({"x": Payload(os.system, "true")})
    assert cli.main(["convert-stylegan", str(bad), "--out", str(tmp_path / "no.pt")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("trapmid convert-stylegan: error: ") and error.count("\n") == 1
    assert not (tmp_path / "no.pt").exists()
