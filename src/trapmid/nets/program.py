"""A network that came as a file of `torch.export` (.pt2), and what such a program must do.

A program is a graph without the code that made it. It was traced for one size of images, perhaps
for one size of batches, and for training or for use; nothing of that can be changed afterwards. So
everything an attack needs of it is tried before anything else runs.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from trapmid.nets import program_archive

_EXPORT = "torch.export.export(model.cpu().eval(), (images,), dynamic_shapes=({0: Dim('batch')},))"
STATE = "_extra_state"
"""What torch calls a network's state that is no weight: here a file's bytes, (n,) uint8."""

_SUM = 1e-3  # rows of probabilities sum to 1 so closely
_CLOSE = 1e-3  # of an answer's size: kernels for other batches add in another order
_PROBES = 3


class ProgramError(RuntimeError):
    """A program cannot be attacked; the message is one line."""


class Answer(NamedTuple):
    """What a program returns."""

    logits: Tensor  # (N, C)
    features: Tensor  # (N, F); the logits where it returns nothing else


def read(content: bytes) -> ExportedProgram:
    """The program in the bytes of a .pt2 file, on the CPU, wherever it was exported.

    Pickled objects and compiled code in the archive are refused, since to read one runs it. That
    does not make a file of strangers safe: torch evaluates its formulas of sizes, too.

    Raises:
        ProgramError: the bytes are no such file, or hold more than text and tensors.
    """
    try:
        archive = program_archive.plain(content)
    except ValueError as error:
        raise ProgramError(str(error)) from None
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.export.load(io.BytesIO(archive))
    except Exception as error:  # whatever a damaged graph, or one of another version, leads to
        raise ProgramError(f"torch {torch.__version__} cannot load it ({_line(error)})") from None


def asked(program: ExportedProgram, device: torch.device) -> nn.Module:
    """The program of `read` as a module on `device`, constants that it makes by itself included."""
    with warnings.catch_warnings(action="ignore"):
        if device.type != "cpu":
            program = move_to_device_pass(program, str(device))
        return program.module()


def ask(program: nn.Module, images: Tensor) -> Answer:
    """The program's answer to images (N, 3, S, S) float32 in [0, 1].

    Raises:
        ProgramError: it is neither logits nor (logits, features, ...).
    """
    logits, features = _returned(program, images)
    return Answer(logits, features.flatten(1) if features.dim() > 1 else features[:, None])


def _returned(program: nn.Module, images: Tensor) -> Answer:
    """As `ask`, the features in the shape that the program gives them."""
    found = program(images)
    parts = list(found) if isinstance(found, tuple | list) else [found]
    if not parts or not all(isinstance(part, Tensor) for part in parts[:2]):
        kinds = ", ".join(type(part).__name__ for part in parts[:2]) or "nothing"
        raise ProgramError(f"returns {kinds}; must return logits, or (logits, features)")
    return Answer(parts[0], parts[1] if len(parts) > 1 else parts[0])


def check(program: ExportedProgram, num_classes: int | None, image_size: int) -> int:
    """Tries all that an attack needs of a program, on the CPU.

    Args:
        num_classes: how many private people there are; None: the caller looks at what it returns.
        image_size: S of the images that it is going to be asked about.

    Returns:
        How many classes it knows.

    Raises:
        ProgramError: one line that says what it does not do, and what to do about it.
    """
    _check_inputs(program, image_size)
    module = asked(program, torch.device("cpu"))
    stream = torch.Generator().manual_seed(0)
    images = torch.rand(_PROBES, 3, image_size, image_size, generator=stream)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    first = _answered(module, images)
    _check_answer(first, num_classes)
    _check_use(module, images, first, before)
    _check_batches(module, images, first)
    _check_gradient(module, images)
    return first.logits.shape[1]


def _input(program: ExportedProgram) -> Tensor:
    """A tensor of the shape and type that the graph takes."""
    names = program.graph_signature.user_inputs
    if len(names) != 1:
        raise ProgramError(f"takes {len(names)} inputs; must take one, the images (N, 3, S, S)")
    node = next(n for n in program.graph.nodes if n.op == "placeholder" and n.name == names[0])
    shown = node.meta.get("val")
    if not isinstance(shown, Tensor) or shown.dim() != 4:
        raise ProgramError("its input is no batch of images (N, 3, S, S)")
    return shown


def image_size(program: ExportedProgram) -> int | None:
    """The height of the images that it takes; None: any.

    Raises:
        ProgramError: it does not take one batch of images.
    """
    height = _input(program).shape[2]
    return height if isinstance(height, int) else None


def _check_inputs(program: ExportedProgram, image_size: int) -> None:
    """What the graph itself says of its input."""
    shown = _input(program)
    if shown.dtype != torch.float32:
        raise ProgramError(f"takes images in {shown.dtype}; must take float32 in [0, 1]")
    batch, channels, *sides = (size if isinstance(size, int) else None for size in shown.shape)
    if channels not in (None, 3):
        raise ProgramError(f"takes images of {channels} channels; must take 3, red, green and blue")
    if any(side not in (None, image_size) for side in sides):
        was = " x ".join("any" if side is None else str(side) for side in sides)
        raise ProgramError(
            f"takes images of {was} pixels, and the data set has {image_size} x {image_size}: "
            "set the data's image_size, or export it for that size"
        )
    if batch is not None:
        raise ProgramError(
            f"takes batches of {batch} alone; export it with an example of two images and a "
            f"batch of any size: {_EXPORT}"
        )


def _answered(module: nn.Module, images: Tensor) -> Answer:
    try:
        return _returned(module, images)
    except ProgramError:
        raise
    except Exception as error:  # an assertion of the graph, or any operator's complaint
        shape = " x ".join(map(str, images.shape))
        raise ProgramError(f"refuses images of {shape} ({_line(error)})") from None


def _check_answer(answer: Answer, num_classes: int | None) -> None:
    logits, n = answer.logits, _PROBES
    if logits.dim() != 2 or len(logits) != n:
        shape = " x ".join(map(str, logits.shape))
        raise ProgramError(f"answers {n} images with {shape} numbers; must answer (N, classes)")
    if num_classes not in (None, logits.shape[1]):
        raise ProgramError(
            f"knows {logits.shape[1]} classes, and the data set has {num_classes} private people; "
            "one logit per person, in the order of the labels of its manifest.csv"
        )
    if answer.features is not logits:
        _check_features(answer.features)
    if not (logits.isfinite().all() and answer.features.isfinite().all()):
        raise ProgramError("answers NaN or infinity to images in [0, 1]")
    sums = logits.sum(dim=1)
    if bool((logits >= 0).all()) and bool(((sums - 1).abs() < _SUM).all()):
        raise ProgramError(
            "answers probabilities (rows sum to 1); export what is before the softmax: attacks "
            "climb logits"
        )


def _check_features(features: Tensor) -> None:
    """Whether the second output has a row of numbers for every image; logits have."""
    rows = len(features) if features.dim() > 0 else 0
    if features.dim() < 2 or rows != _PROBES or not features.is_floating_point():
        shape = " x ".join(map(str, features.shape)) or "one number"
        kind = str(features.dtype).removeprefix("torch.")
        raise ProgramError(
            f"its second output is {shape} in {kind} for {_PROBES} images; must be their features, "
            "(N, F) in floating point, or left out"
        )


def _check_use(module: nn.Module, images: Tensor, first: Answer, before: dict[str, Tensor]) -> None:
    """Whether it was exported for use: the same answer twice, and nothing inside that moves."""
    after = module.state_dict()
    moved = [name for name, value in before.items() if not torch.equal(value, after[name])]
    again = _answered(module, images)
    same = torch.equal(first.logits, again.logits) and torch.equal(first.features, again.features)
    if moved or not same:
        what = f"{moved[0]} changes at every call" if moved else "two calls on one image differ"
        raise ProgramError(
            f"{what}: exported in training mode, which no program leaves; export model.eval()"
        )


def _check_batches(module: nn.Module, images: Tensor, first: Answer) -> None:
    """Whether an image's logits and features are the same alone as among others."""
    alone = [_answered(module, image[None]) for image in images]
    for what, among, singly in (
        ("answers an image", first.logits, [one.logits for one in alone]),
        ("describes an image (its second output)", first.features, [o.features for o in alone]),
    ):
        shapes = {one.shape for one in singly}
        if shapes != {among[:1].shape} or not torch.allclose(
            torch.cat(singly), among, rtol=_CLOSE, atol=_CLOSE
        ):
            raise ProgramError(
                f"{what} otherwise alone than among others: it looks at the batch, as batch "
                "norm does in training mode; export model.eval()"
            )


def _check_gradient(module: nn.Module, images: Tensor) -> None:
    asked_about = images.clone().requires_grad_(True)
    total = ask(module, asked_about).logits.square().sum()
    slope = None
    if total.requires_grad:
        (slope,) = torch.autograd.grad(total, asked_about, allow_unused=True)
    if slope is None or not slope.isfinite().all() or not slope.any():
        how = "no gradient" if slope is None or slope.isfinite().all() else "no finite gradient"
        raise ProgramError(
            f"{how} reaches the image, which white-box attacks follow: no rounding, no detach and "
            "no torch.no_grad inside"
        )


def _line(error: BaseException) -> str:
    """An error in one line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"[:200]


def traced(model: nn.Module, image_size: int) -> bytes:
    """The bytes of a .pt2 file that does what `model` does in use, for batches of any size.

    Raises:
        ProgramError: torch cannot trace it.
    """
    example = torch.rand(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    make: Callable[..., ExportedProgram] = torch.export.export
    try:
        with warnings.catch_warnings(action="ignore"):
            sizes = ({0: torch.export.Dim("batch", min=1)},)
            program = make(model.eval(), (example,), dynamic_shapes=sizes)
            for node in program.graph.nodes:
                # Where a line of code stood, with names that count up in a process: the same
                # model would have other bytes each time, and all that hangs from it would run.
                node.meta.pop("stack_trace", None)
            stream = io.BytesIO()
            torch.export.save(program, stream)
    except (Exception, SystemExit) as error:  # the model's own, or what nobody can trace
        raise ProgramError(f"torch.export cannot trace it ({_line(error)})") from None
    return stream.getvalue()
