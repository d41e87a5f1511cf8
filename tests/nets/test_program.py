"""Programs of `torch.export`: a sound one passes, and every defect is named in one line."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from programs import CLASSES, SIZE, Small, Two, exported, on_a_gpu
from trapmid.nets import program, program_archive
from trapmid.nets.program import ProgramError


class Fixed(Small):
    """Of one size of images alone."""

    def forward(self, images: Tensor) -> object:
        return super().forward(images.reshape(-1, 3, SIZE, SIZE))


class Dropping(Small):
    def forward(self, images: Tensor) -> object:
        return self.head(F.dropout(self.body(images), 0.5, training=True))


class Rounded(Small):
    def forward(self, images: Tensor) -> object:
        return super().forward((images * 255).round() / 255)


class ByBatch(Small):
    def forward(self, images: Tensor) -> object:
        return super().forward(images - images.mean(dim=0, keepdim=True))


class Named(Small):
    def forward(self, images: Tensor) -> object:
        return {"logits": super().forward(images)}


class Pair(Small):
    def forward(self, images: Tensor, other: Tensor) -> object:  # type: ignore[override]
        return super().forward(images + other)


class Described(Small):
    """Has logits, and of the features what `seen` makes."""

    def __init__(self, seen: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, images: Tensor) -> object:
        features = self.body(images)
        return self.head(features), self.seen(features)


def checked(content: bytes, classes: int = CLASSES, size: int = SIZE) -> None:
    program.check(program.read(content), classes, size)


@pytest.mark.parametrize("model", [Small(), Two(), Small(lambda x: x.log_softmax(1)), Fixed()])
def test_a_sound_program_passes_and_answers_as_the_model_did(model: nn.Module) -> None:
    model.eval()
    content = exported(model)
    checked(content)
    module = program.asked(program.read(content), torch.device("cpu"))
    for n in (1, 5):
        images = torch.rand(n, 3, SIZE, SIZE)
        answer = program.ask(module, images)
        wanted = model(images)
        logits, features = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        assert torch.allclose(answer.logits, logits, atol=1e-6)
        assert torch.allclose(answer.features, features, atol=1e-6)


class Making(Two):
    """Makes constants where its images are, and asserts that these are there."""

    def forward(self, images: Tensor) -> object:
        shifts = torch.arange(3, device=images.device)[:, None, None] / 10
        return super().forward(images.to(images.device) - shifts)


@pytest.mark.parametrize("model", [Two(), Making()], ids=["weights", "constants_too"])
def test_a_program_from_a_gpu_is_read_on_the_cpu(model: nn.Module) -> None:
    """Whether this machine has a GPU or none: `asked` puts it where it is wanted."""
    content = on_a_gpu(model.eval())
    found = program.read(content)
    checked(content)
    places = {
        value.device.type for value in (*found.state_dict.values(), *found.constants.values())
    }
    (example,), _ = found.example_inputs or ((), {})
    assert places == {example.device.type} == {"cpu"}
    images = torch.rand(4, 3, SIZE, SIZE)
    answer = program.ask(program.asked(found, torch.device("cpu")), images)
    assert torch.allclose(answer.logits, model(images)[0], atol=1e-6)


def test_an_archive_of_the_cpu_keeps_its_members() -> None:
    content = exported(Making().eval())
    assert members(program_archive.plain(content)) == members(content)
    moved = members(program_archive.plain(on_a_gpu(Making().eval())))
    assert set(moved) == set(members(content)) and b'"cuda"' not in b"".join(moved.values())


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


DEFECTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "one batch size": (
        lambda: exported(Small().eval(), batch=False),
        r"takes batches of 2 alone; export it with an example of two images.*Dim\('batch'\)",
    ),
    "one example": (
        lambda: exported(Small().eval(), torch.rand(1, 3, SIZE, SIZE), batch=False),
        "takes batches of 1 alone",
    ),
    "another image size": (
        lambda: exported(Small().eval(), torch.rand(2, 3, 16, 12)),
        "takes images of 16 x 12 pixels, and the data set has 8 x 8: set the data's image_size",
    ),
    "grey": (
        lambda: exported(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), torch.rand(2, 1, 8, 8)),
        "takes images of 1 channels; must take 3",
    ),
    "bytes": (
        lambda: exported(_Bytes().eval(), torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)),
        r"takes images in torch\.uint8; must take float32",
    ),
    "flat input": (
        lambda: exported(nn.Linear(5, 3), torch.rand(2, 5)),
        r"its input is no batch of images \(N, 3, S, S\)",
    ),
    "two inputs": (
        lambda: exported(Pair().eval(), *torch.rand(2, 2, 3, SIZE, SIZE)),
        "takes 2 inputs; must take one",
    ),
    "classes": (
        lambda: exported(nn.Sequential(Small(), nn.Linear(3, 5)).eval()),
        "knows 5 classes, and the data set has 3 private people; one logit per person",
    ),
    "training mode": (lambda: exported(Small().train()), "exported in training mode"),
    "dropout": (lambda: exported(Dropping().eval()), "two calls on one image differ: exported in"),
    "by batch": (lambda: exported(ByBatch().eval()), "otherwise alone than among others"),
    "probabilities": (
        lambda: exported(Small(lambda logits: logits.softmax(1)).eval()),
        r"answers probabilities \(rows sum to 1\); export what is before the softmax",
    ),
    "not finite": (
        lambda: exported(Small(lambda logits: logits / (logits - logits)).eval()),
        "answers NaN or infinity",
    ),
    "no gradient": (lambda: exported(Rounded().eval()), "no gradient reaches the image"),
    "detached": (
        lambda: exported(Small(lambda logits: logits.detach()).eval()),
        "no gradient reaches the image",
    ),
    "a dictionary": (
        lambda: exported(Named().eval()),
        r"returns (str|dict|Tensor|.*); must return logits, or \(logits, features\)",
    ),
    "one number": (
        lambda: exported(Small(lambda logits: logits.sum(dim=1)).eval()),
        r"answers 3 images with 3 numbers; must answer \(N, classes\)",
    ),
    "features of all images together": (
        lambda: exported(Described(lambda features: features.mean(dim=0)).eval()),
        r"^its second output is 4 in float32 for 3 images; must be their features, \(N, F\) in flo",
    ),
    "one feature": (
        lambda: exported(Described(lambda features: features.mean()).eval()),
        "^its second output is one number in float32 for 3 images",
    ),
    "a number for each image": (
        lambda: exported(Described(lambda features: features.mean(dim=1)).eval()),
        "^its second output is 3 in float32 for 3 images",
    ),
    "features of a fixed number": (
        lambda: exported(Described(lambda features: features.new_zeros(4, 4)).eval()),
        "^its second output is 4 x 4 in float32 for 3 images",
    ),
    "features of three images": (
        lambda: exported(Described(lambda features: features.new_zeros(3, 4)).eval()),
        r"^describes an image \(its second output\) otherwise alone than among others",
    ),
    "features that are no numbers": (
        lambda: exported(Described(lambda features: features > 0).eval()),
        "^its second output is 3 x 4 in bool for 3 images",
    ),
    "features that count": (
        lambda: exported(Described(lambda features: (100 * features).long()).eval()),
        "^its second output is 3 x 4 in int64 for 3 images",
    ),
    "features that change": (
        lambda: exported(Described(lambda f: F.dropout(f, 0.5, training=True)).eval()),
        "^two calls on one image differ: exported in",
    ),
    "features by batch": (
        lambda: exported(Described(lambda features: features - features.mean(dim=0)).eval()),
        r"^describes an image \(its second output\) otherwise alone than among others",
    ),
    "no archive": (lambda: b"PK not really", r"no program of torch\.export\.save, or damaged"),
    "cut off": (lambda: exported(Small().eval())[:-200], "or cut off"),
    "weights": (lambda: _saved({"a": torch.ones(1)}), "the archive has no models/"),
    "pickled": (lambda: _pickled(exported(Small().eval())), "holds pickled objects"),
    "an object of a class": (
        lambda: _zipped("a/models/model.json", "a/data/constants/custom_obj_0"),
        "holds pickled objects",
    ),
    "compiled code": (
        lambda: _with("data/aotinductor/model/a.so", b"\x7fELF"),
        r"^holds 'data/aotinductor/model/a\.so', which a program of plain tensors does not need",
    ),
    "weights as they once were": (
        lambda: _with("data/weights/model.pt", _saved({"a": torch.ones(1)})),
        r"^holds 'data/weights/model\.pt', which a program",
    ),
    "two folders": (lambda: _zipped("a/models/model.json", "b/byteorder"), "in several folders"),
    "no JSON": (lambda: _with("data/weights/model_weights_config.json", b"{"), "or damaged"),
}


class _Bytes(Small):
    def forward(self, images: Tensor) -> object:
        return super().forward(images.float() / 255)


def _saved(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def _zipped(*names: str) -> bytes:
    """An archive of empty files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return stream.getvalue()


def _pickled(content: bytes) -> bytes:
    """The archive with a weight that says of itself that it is a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith("weights_config.json"):
                text = re.sub(rb'"use_pickle": ?false', b'"use_pickle": true', text, count=1)
                assert b"true" in text
            new.writestr(name, text)
    return stream.getvalue()


def _with(name: str, value: bytes) -> bytes:
    """A sound archive with a member more, or another one of that name."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(exported(Small().eval()))) as old,
        zipfile.ZipFile(stream, "w") as new,
    ):
        for one in old.namelist():
            if not one.endswith(name):
                new.writestr(one, old.read(one))
        new.writestr(f"archive/{name}", value)
    return stream.getvalue()


@pytest.mark.parametrize(
    "place",
    ["data/sample_inputs/model.pt", "data/constants/model.pt", "data/constants/custom_obj_0"],
)
def test_what_is_neither_text_nor_tensor_is_refused(place: str) -> None:
    """A fraction, which hurts nobody, stands for any object of a class."""
    with pytest.raises(ProgramError, match=r"^holds "):
        program.read(_with(place, _saved({"a": Fraction(1, 3)})))


def test_torch_reads_what_was_looked_at() -> None:
    """The archive is written anew: a member that stands in it twice stands there once."""
    sound = exported(Small().eval())
    place = "archive/data/sample_inputs/model.pt"
    stream = io.BytesIO(sound)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "a") as archive:
        example = archive.read(place)
        archive.writestr(place, b"another")
        archive.writestr(place, example)
    with zipfile.ZipFile(io.BytesIO(program_archive.plain(stream.getvalue()))) as archive:
        assert archive.namelist().count(place) == 1 and archive.read(place) == example


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_told_in_one_line(defect: str) -> None:
    make, line = DEFECTS[defect]
    with pytest.raises(ProgramError, match=line) as caught:
        checked(make())
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_is_traced_for_any_batch_and_in_eval_mode() -> None:
    model = Two().train()
    content = program.traced(model, SIZE)
    checked(content)
    images = torch.rand(1, 3, SIZE, SIZE)
    answer = program.ask(program.asked(program.read(content), torch.device("cpu")), images)
    assert torch.allclose(answer.logits, model.eval()(images)[0], atol=1e-6)


def test_a_model_that_cannot_be_traced() -> None:
    with pytest.raises(ProgramError, match=r"torch\.export cannot trace it \(\w+: ") as caught:
        program.traced(Small(lambda logits: logits if logits.sum() > 0 else -logits), SIZE)
    assert len(str(caught.value).splitlines()) == 1
