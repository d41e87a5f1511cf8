"""A classifier from elsewhere: kept whole, asked as any other, and never trained."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from programs import CLASSES, SIZE, Small, Two, exported
from toy import images, runtime
from trapmid import wiring
from trapmid.artifacts import classifiers
from trapmid.artifacts.checkpoints import CheckpointError
from trapmid.runtime import eval_mode, frozen
from trapmid.targets.exported import Network
from trapmid.types import Target


def network(path: Path, classes: int = CLASSES, size: int = SIZE) -> Target:
    return classifiers.new_network("exported", classes, size, path, runtime())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "model.pt2"
    path.write_bytes(exported(Two().eval()))
    return path


def test_it_answers_as_the_model_did(program: Path) -> None:
    model, own, x = network(program), Two().eval(), images(4, size=SIZE)
    logits, features = own(x)
    output = model(x)
    assert torch.allclose(output.logits, logits, atol=1e-6)
    assert torch.allclose(output.features, features, atol=1e-6)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in own.parameters())


def test_its_state_is_the_file(program: Path) -> None:
    model = network(program)
    (kept,) = model.state_dict().values()
    assert kept.numpy().tobytes() == program.read_bytes()
    other = Network(CLASSES, SIZE)
    other.load_state_dict(model.state_dict(), strict=True)
    x = images(2, size=SIZE)
    assert torch.equal(other(x).logits, model(x).logits)
    assert torch.equal(copy.deepcopy(model)(x).logits, model(x).logits)


def test_it_stays_in_eval_mode_and_says_so(program: Path) -> None:
    model = network(program)
    with eval_mode(model):
        assert not model.eval().training
    with pytest.raises(ValueError, match=r"^arch: exported cannot be trained"):
        model.train()
    assert not model.training


def test_its_parameters_can_be_frozen(program: Path) -> None:
    model, x = network(program), images(2, size=SIZE).requires_grad_(True)
    with frozen(model):
        model(x).logits.sum().backward()
    assert x.grad is not None and x.grad.any()
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("defense", ["mid", "rolss", "transfer"])
def test_no_defence_alters_it(defense: str, program: Path) -> None:
    from toy import BLOCKS

    method, block = BLOCKS[defense]
    with pytest.raises(
        ValueError, match=r"^arch: trapmid\.targets\.exported has no (trunk|stages)"
    ):
        wiring.defense(method, block, defense).adapt(network(program))


def test_a_start_without_a_program(tmp_path: Path, program: Path) -> None:
    word, weights = tmp_path / "random", tmp_path / "w.pt"
    word.write_text("random")
    torch.save(Small().state_dict(), weights)
    with pytest.raises(ValueError, match=r"^arch: exported has no program; `init` names it"):
        network(word)(images(1, size=SIZE))
    with pytest.raises(
        CheckpointError, match=r"w\.pt: does not fit exported: holds weights and no"
    ):
        network(weights)
    with pytest.raises(CheckpointError, match=r"model\.pt2: knows 3 classes"):
        network(program, classes=4)
    with pytest.raises(
        CheckpointError, match=r"model\.pt2: a program, which arch exported asks; s"
    ):
        classifiers.new_network("small_vgg", CLASSES, 16, program, runtime())


PYTHON = {
    "class": "class Net(nn.Linear): ...".replace("...", "\n" + """
    def __init__(self):
        super().__init__(192, 3)
    def forward(self, images):
        return super().forward(images.flatten(1))
"""),
    "build": """
class Block(nn.Flatten): pass
class Head(nn.Linear): pass
def build():
    return nn.Sequential(Block(), Head(192, 3))
""",
}  # fmt: skip


@pytest.mark.parametrize("how", PYTHON)
def test_a_python_file(how: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from torch import nn\n" + PYTHON[how])
    x = images(2, size=SIZE)
    assert network(file)(x).logits.shape == (2, 3)
    state = {
        ("1." * (how == "build")) + name: torch.full(shape, 0.25)
        for name, shape in {"weight": (3, 192), "bias": (3,)}.items()
    }
    torch.save({"state_dict": state}, tmp_path / "mine.pt")
    wanted = 0.25 * x.flatten(1).sum(dim=1, keepdim=True) + 0.25
    assert torch.allclose(network(tmp_path)(x).logits, wanted.expand(2, 3), rtol=1e-5)


BAD_FILES: dict[str, tuple[str, str]] = {
    "no syntax": ("def build(:", r"mine\.py: import failed \(SyntaxError"),
    "two classes": (
        PYTHON["build"].split("def build")[0],
        r"needs a function build\(\).*Block, He",
    ),
    "no class": ("x = 1", "it has none"),
    "no network": ("def build(): return 3", r"build\(\) returns int, must return nn\.Module"),
    "raises": ("def build(): raise KeyError('w')", r"build failed \(KeyError: 'w'\)"),
    "ends on import": (
        "import sys; sys.exit(0)",
        r"import failed: it calls sys\.exit\(0\), which wo",
    ),
    "ends on build": ("def build(): raise SystemExit", r"build failed: it calls sys\.exit\(None\)"),
    "ends on images": (
        "class Net(nn.Module):\n    def forward(self, images): raise SystemExit(3)",
        r"torch\.export cannot trace it \(\w+: ",
    ),
    "arguments": ("def build(size): ...", r"build failed \(TypeError"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_python_file_that_makes_no_network(name: str, tmp_path: Path) -> None:
    text, line = BAD_FILES[name]
    (tmp_path / "mine.py").write_text(f"from torch import nn\n{text}")
    with pytest.raises(CheckpointError, match=line) as caught:
        network(tmp_path / "mine.py")
    assert len(str(caught.value).splitlines()) == 1


def test_folders_and_names_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such: a \.pt2 file"):
        network(tmp_path / "gone.pt2")
    with pytest.raises(CheckpointError, match=r"must hold one \.py.*; holds 0 and 0"):
        network(tmp_path)
    (tmp_path / "mine.py").write_text("from torch import nn\n" + PYTHON["class"])
    torch.save({"weight": torch.ones(3, 191), "bias": torch.ones(3)}, tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=r"mine\.pth: does not fit mine\.py: 1 of another s"):
        network(tmp_path)
    torch.save({"weight": torch.ones(3, 192), "bias": torch.ones(3) * 1j}, tmp_path / "mine.pth")
    with pytest.raises(CheckpointError, match=r"mine\.pth: bias is in complex64; allowed are"):
        network(tmp_path)
