"""The improved residual networks of face recognition, IR-50 and IR-152.

Units of Deng et al., "ArcFace" (CVPR 2019), as face.evoLVe builds them and the model-inversion
literature attacks them: 3x3 stem without pooling, then stages that each begin by halving the image.
No convolution has a bias.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from trapmid.nets.residual import Residual
from trapmid.types import Embedding, Output, Target

IR50 = (3, 4, 14, 3)
IR152 = (3, 8, 36, 3)
WIDTHS = (64, 128, 256, 512)
_UNIT = re.compile(r"body\.(\d+)\.(res_layer|shortcut_layer)\.(.+)")


class IrNetwork(Target):
    """Stem, stages, an output layer that makes the embedding, and a linear classifier.

    Args:
        num_classes: C.
        image_size: side of the images that the stem sees; each stage halves it.
        units: residual units per stage.
        widths: channels per stage; the stem has the first one's.
        embedding_dim: what the output layer makes of the last stage.
        dropout: in front of the output layer's linear map.
    """

    head = ("classifier",)

    def __init__(
        self,
        num_classes: int,
        image_size: int,
        *,
        units: tuple[int, ...],
        widths: tuple[int, ...] = WIDTHS,
        embedding_dim: int = 512,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        halvings = 2 ** len(units)
        if image_size < halvings or image_size % halvings:
            raise ValueError(
                f"image_size: {type(self).__module__.rpartition('.')[2]} needs a multiple of "
                f"{halvings}, not {image_size}"
            )
        self.num_classes, self.embedding_dim = num_classes, embedding_dim
        first, last = widths[0], widths[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        self.body = nn.ModuleList(
            nn.Sequential(
                _unit(inside, outside, stride=2),
                *(_unit(outside, outside, stride=1) for _ in range(count - 1)),
            )
            for count, inside, outside in zip(units, (first, *widths), widths, strict=False)
        )
        self.output = nn.Sequential(
            nn.BatchNorm2d(last),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(last * (image_size // halvings) ** 2, embedding_dim),
            nn.BatchNorm1d(embedding_dim),
        )
        self.classifier = nn.Linear(embedding_dim, num_classes)
        for module in (*self.stem.modules(), *self.body.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def stages(self) -> tuple[nn.Module, ...]:
        """The first one begins at the image: it holds the stem, too."""
        first, *rest = self.body
        return nn.Sequential(self.stem, first), *rest

    def embed(self, images: Tensor) -> Embedding:
        x, hidden = self.through_stages(images)
        return Embedding(self.output(x), hidden)

    def forward(self, images: Tensor) -> Output:
        vector, hidden = self.embed(images)
        return Output(self.classifier(vector), vector, hidden)

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes face.evoLVe's published backbone, or another network of this class.

        Of a published file, `input_layer` and `body`; its `output_layer`, made for 112 pixels, at
        that size alone.

        Raises:
            RuntimeError: a weight is missing, unknown, or of another shape.
        """
        if any(name.startswith("input_layer.") for name in state):
            state = self._translated(state)
        self.take_trunk(state)

    def _translated(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A published file in our names; the output layer is ours unless we see 112 pixels."""
        places = [(s, u) for s, part in enumerate(self.body) for u, _ in enumerate(part.children())]
        output = {f"output.{k}": v for k, v in self.output.state_dict().items()}
        at_112 = output["output.3.weight"].shape[1] == 7 * 7 * len(output["output.0.weight"])
        state = {} if at_112 else output
        for name, value in published.items():
            unit = _UNIT.fullmatch(name)
            if name.startswith("input_layer."):
                state[name.replace("input_layer.", "stem.")] = value
            elif name.startswith("output_layer."):
                if at_112:
                    state[name.replace("output_layer.", "output.")] = value
            elif unit and int(unit[1]) < len(places):
                stage, index = places[int(unit[1])]
                part = "body" if unit[2] == "res_layer" else "shortcut"
                state[f"body.{stage}.{index}.{part}.{unit[3]}"] = value
            else:
                state[name] = value  # a deeper network's, or no backbone's: `take_trunk` refuses it
        return state


def _unit(inside: int, outside: int, stride: int) -> Residual:
    """BN, 3x3 conv, PReLU, 3x3 conv with the stride, BN; beside it a pooling or a 1x1 conv."""
    body = nn.Sequential(
        nn.BatchNorm2d(inside),
        nn.Conv2d(inside, outside, 3, 1, 1, bias=False),
        nn.PReLU(outside),
        nn.Conv2d(outside, outside, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outside),
    )
    if inside == outside:
        # Officially MaxPool2d(1, stride): every stride-th pixel. The average of one pixel is the
        # same number, and the backward pass keeps no int64 index of every element.
        return Residual(body, nn.Identity() if stride == 1 else nn.AvgPool2d(1, stride))
    one = nn.Conv2d(inside, outside, 1, stride, bias=False)
    return Residual(body, nn.Sequential(one, nn.BatchNorm2d(outside)))
