"""Where a network starts: words that stand for no file, and weights that anybody saved."""

from __future__ import annotations

import urllib.error
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trapmid.artifacts import classifiers, initial
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.runtime import Runtime


def runtime() -> Runtime:
    return Runtime(device=torch.device("cpu"), seed=0, precision="fp32")


def network(arch: str, init: Path) -> Any:
    return classifiers.new_network(arch, 3, 32, init, runtime())


def test_the_words_that_stand_for_no_file(tmp_path: Path) -> None:
    for word in ("random", "torchvision"):
        (tmp_path / word).write_text(f"{word}\n")
        assert initial.initial_state(tmp_path / word) == word
    for text in ("randm\n", "", "\xff\xfe"):
        (tmp_path / "typo").write_bytes(text.encode("latin1"))
        with pytest.raises(CheckpointError, match=r"typo: not a checkpoint"):
            initial.initial_state(tmp_path / "typo")
    with pytest.raises(CheckpointError, match=r"nothing: no such file"):
        initial.initial_state(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r": is a folder, must be a file$"):
        initial.initial_state(tmp_path)
    with pytest.raises(ValueError, match=r"init: torchvision has no weights for small_vgg"):
        network("small_vgg", tmp_path / "torchvision")


WRAPPED = {
    "alone": lambda state: state,
    "ours": lambda state: {"state": state, "code": "x"},
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state},
    "parallel": lambda state: {f"module.{name}": value for name, value in state.items()},
    "tutorial": lambda state: {"model_state_dict": state, "epoch": 3, "loss": torch.ones([])},
    "compiled": lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
    "parallel of compiled": lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
    "compiled of parallel": lambda state: {f"_orig_mod.module.{k}": v for k, v in state.items()},
    "both": lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
}


@pytest.mark.parametrize("how", WRAPPED)
def test_weights_are_found_however_a_trainer_wrapped_them(tmp_path: Path, how: str) -> None:
    (tmp_path / "random").write_text("random")
    wanted: Mapping[str, Tensor] = network("small_vgg", tmp_path / "random").state_dict()
    wanted = {name: torch.full_like(value, 3) for name, value in wanted.items()}
    torch.save(WRAPPED[how](wanted), tmp_path / "w.pt")
    found = network("small_vgg", tmp_path / "w.pt").state_dict()
    trunk = [name for name in wanted if name.startswith("blocks.")]
    assert trunk and all(torch.equal(found[name], wanted[name]) for name in trunk)


def test_averaged_weights_beside_the_others_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {"model": {"a": torch.ones(1)}, "model_ema": {"a": torch.zeros(1)}, "ema_decay": 0.9}
    torch.save(content, tmp_path / "w.pt")
    assert initial.initial_state(tmp_path / "w.pt") == {"a": torch.ones(1)}
    assert capsys.readouterr().err.endswith("w.pt: took 'model', not 'model_ema'\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"epoch": 3, "best": "x"}, r"w\.pt: must hold a network's state.*; holds best, epoch$"),
        ({"state_dict": {}}, r"w\.pt: must hold a network's state.*; holds nothing$"),
        ({"a": torch.tensor([torch.nan])}, r"w\.pt: a is not finite"),
        ({"a": torch.ones(1)}, r"w\.pt: does not fit small_vgg: \d+ weights missing, first blocks"),
    ],
)
def test_what_is_no_start_is_refused_in_one_line(tmp_path: Path, content: Any, line: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=line) as caught:
        network("small_vgg", tmp_path / "w.pt")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def quantised() -> Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)


ODD: dict[str, tuple[Callable[[], Tensor], str]] = {
    "complex": (lambda: torch.ones(2, dtype=torch.complex64), "in complex64"),
    "float8": (lambda: torch.ones(2).to(torch.float8_e4m3fn), "in float8_e4m3fn"),
    "unsigned": (lambda: torch.ones(2).to(torch.uint16), "in uint16"),
    "sparse": (lambda: torch.eye(2).to_sparse(), r"a sparse tensor \(sparse_coo\)"),
    "rows": (lambda: torch.eye(2).to_sparse_csr(), r"a sparse tensor \(sparse_csr\)"),
    "quantised": (quantised, r"a quantised tensor \(qint8\)"),
    "meta": (lambda: torch.ones(2, device="meta"), "a meta tensor, which has a shape and no num"),
}


@pytest.mark.filterwarnings("ignore")  # torch's, of kinds that it is giving up
@pytest.mark.parametrize("name", ODD)
def test_a_tensor_that_is_no_weight_is_named_with_its_kind(tmp_path: Path, name: str) -> None:
    make, what = ODD[name]
    torch.save({"state_dict": {"a": torch.ones(1), "head.b": make()}}, tmp_path / "w.pt")
    line = rf"w\.pt: head\.b is {what}.*; allowed are dense tensors of real numbers: float16, "
    with pytest.raises(CheckpointError, match=line) as caught:
        initial.initial_state(tmp_path / "w.pt")
    assert "\n" not in str(caught.value)


def test_a_key_that_is_no_text_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {7: torch.ones(1)}}, tmp_path / "w.pt")
    line = r"w\.pt: the key 7 is of type int; weights are named by texts$"
    with pytest.raises(CheckpointError, match=line):
        initial.initial_state(tmp_path / "w.pt")


def test_a_misfit_counts_its_kinds_and_names_the_first_of_each(tmp_path: Path) -> None:
    (tmp_path / "random").write_text("random")
    state = dict(network("small_vgg", tmp_path / "random").state_dict())
    del state["blocks.0.0.weight"]
    state["blocks.0.1.weight"] = torch.ones(2)
    state["nothing.here"] = torch.ones(1)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError) as caught:
        network("small_vgg", tmp_path / "w.pt")
    text = str(caught.value)
    assert "1 weights missing, first blocks.0.0.weight" in text
    assert "1 weights unknown, first nothing.here" in text
    assert "1 of another shape, first size mismatch for blocks.0.1.weight" in text


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3000.0), "b": torch.ones(7)}, tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    for size in range(0, len(whole), 397):
        (tmp_path / "cut.pt").write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"cut\.pt: not a checkpoint"):
            initial.initial_state(tmp_path / "cut.pt")


def test_without_a_network_the_line_says_where_the_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no name service")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "torchvision").write_text("torchvision")
    with pytest.raises(CheckpointError) as caught:
        network("vgg16", tmp_path / "torchvision")
    text = str(caught.value)
    assert "vgg16_bn-6c64b313.pth cannot be fetched (<urlopen error no name service>)" in text
    assert f"put the file into {tmp_path / 'hub' / 'checkpoints'}" in text and "\n" not in text
