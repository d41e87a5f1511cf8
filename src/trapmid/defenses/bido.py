"""BiDO: hidden layers that depend little on the image and much on the label (Peng et al.,
"Bilateral Dependency Optimization: Defending Against Model-inversion Attacks", KDD 2022).

Loss: cross-entropy + sum over hidden layers Z of input_weight d(Z, X) - label_weight d(Z, Y), where
X are the images and Y the one-hot labels of the batch. A batch holds several images of each of its
people, or labels would say nothing about similarity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from trapmid import losses, types
from trapmid.config.bounds import Count, NonNegative, Positive
from trapmid.runtime import Runtime
from trapmid.types import Loss, Progress, Setting, Target

Measure = Literal["hsic", "coco"]
Kernel = Literal["gaussian", "linear", "imq"]
_RIDGE = 1e-5  # times m; the official code's


@dataclass(frozen=True, kw_only=True)
class Defense(types.Defense):
    measure: Measure  # of dependence
    kernel: Kernel  # of images and hidden layers
    label_kernel: Kernel  # officially linear: 1 for images of one person, else 0
    input_weight: NonNegative  # lambda_x
    label_weight: NonNegative  # lambda_y
    sigma: Positive  # width of Gaussian kernels; distances are divided by the square root of d
    identities_per_batch: Count
    images_per_identity: Count

    def check_training(self, batch_size: int, precision: str) -> None:
        del precision
        people, images = self.identities_per_batch, self.images_per_identity
        if batch_size != people * images:
            raise ValueError(
                f"classifier_training.*.batch_size: {batch_size} must be {people * images}, which "
                f"is identities_per_batch {people} times images_per_identity {images}"
            )

    def objective(self, setting: Setting) -> types.Objective:
        return Objective(self, setting.num_classes, setting.rt)


# --- dependence ---------------------------------------------------------------------------------


def kernel_matrix(rows: Tensor, kernel: Kernel, sigma: float) -> Tensor:
    """The similarities (m, m) of the rows of a matrix (m, d).

    gaussian: exp(-|a - b|^2 / (2 sigma^2 d)); linear: a . b; imq: (1 + |a - b|^2)^(-1/2).
    """
    products = rows @ rows.T
    if kernel == "linear":
        return products
    # From the products: a difference for each pair would take m times the memory of `rows`.
    # Rounding leaves some distances just under zero, hence `abs`, as officially.
    squares = products.diagonal()
    distances = (squares[:, None] - 2 * products + squares[None, :]).abs()
    if kernel == "imq":
        return torch.rsqrt(distances + 1)
    return torch.exp(-distances / (2 * sigma**2 * rows.shape[1]))


def response(kernels: Tensor, measure: Measure, dtype: torch.dtype) -> Tensor:
    """What a measure compares, of kernel matrices (..., m, m): computed in `dtype`, shape kept.

    With K' = H K H and H = I - 11^T / m, COCO takes K' and HSIC R = K' (K' + 1e-5 m I)^-1, the
    normalised operator of Fukumizu et al. (2007). The official code inverts K H + 1e-5 m I, which
    is not symmetric: the trace of a product of two R is the same, its rounding errors are larger.

    The condition number of the matrix to solve reaches 1e5 where kernels are Gaussian and has no
    bound where they are linear: float32 would leave two digits of the gradient, or none.
    """
    kernels = kernels.to(dtype)
    rows = kernels - kernels.mean(dim=-1, keepdim=True)
    centred = rows - rows.mean(dim=-2, keepdim=True)
    if measure == "coco":
        return centred
    m = kernels.shape[-1]
    ridge = _RIDGE * m * torch.eye(m, dtype=dtype, device=kernels.device)
    solved: Tensor = torch.linalg.solve(centred + ridge, centred)  # the factors of R commute
    return solved


def dependence(ones: Tensor, other: Tensor, measure: Measure) -> Tensor:
    """d (L,), 0 or more, between L variables and another one, from their responses.

    HSIC: tr(R_z R_x). COCO, as the official code has it: sqrt(|K'_z K'_x|_F) / m.

    Args:
        ones: (L, m, m).
        other: (m, m).
    """
    if measure == "hsic":
        return (ones * other.mT).sum(dim=(-2, -1))
    norms: Tensor = torch.linalg.matrix_norm(ones @ other)
    # A layer that answers everything alike has norm 0, where the root's slope is infinite.
    return norms.clamp_min(torch.finfo(norms.dtype).tiny).sqrt() / other.shape[-1]


def solving_dtype(device: torch.device) -> torch.dtype:
    """float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


# --- batches ------------------------------------------------------------------------------------


def identity_batches(labels: Tensor, identities: int, images: int) -> list[Tensor]:
    """One epoch of batches of `identities` people with `images` images each, the official sampler.

    Each person's images are shuffled and cut into groups; what does not fill a group waits for
    another epoch. A person with fewer images has one group, drawn with replacement. A batch takes
    one group from each of `identities` random people who have any left, until these are too few.

    Args:
        labels: (N,) int64.

    Returns:
        Indices (identities * images,) int64 into `labels`, image after image of each person.

    Raises:
        ValueError: there are fewer than `identities` people.
    """
    labels = labels.cpu()
    counts = labels.bincount()
    if (people := int((counts > 0).sum())) < identities:
        raise ValueError(f"identities_per_batch: {identities} is over the {people} in the data")
    groups = _groups(labels, counts, images)
    left = torch.where(counts < images, counts.clamp(max=1), counts // images)
    ends, batches = left.cumsum(0), []
    while len(waiting := left.nonzero().squeeze(1)) >= identities:
        chosen = waiting[torch.randperm(len(waiting))[:identities]]
        batches.append(groups[ends[chosen] - left[chosen]].flatten())
        left[chosen] -= 1
    return batches


def _groups(labels: Tensor, counts: Tensor, images: int) -> Tensor:
    """Indices (groups, images) of one person's images each, person after person."""
    order = torch.randperm(len(labels))
    order = order[labels[order].argsort(stable=True)]  # person after person, shuffled inside
    owner, starts = labels[order], counts.cumsum(0) - counts
    place = torch.arange(len(labels)) - starts[owner]
    full = order[place < (counts // images * images)[owner]].view(-1, images)
    few = ((counts > 0) & (counts < images)).nonzero().squeeze(1)
    draws = torch.rand(len(few), images, dtype=torch.float64) * counts[few, None]
    groups = torch.cat([full, order[starts[few, None] + draws.long()]])
    return groups[labels[groups[:, 0]].argsort(stable=True)]


# --- training -----------------------------------------------------------------------------------


class Objective(types.Objective):
    """Cross-entropy and the two dependences of every hidden layer."""

    def __init__(self, defense: Defense, num_classes: int, rt: Runtime) -> None:
        super().__init__()
        self._defense, self._num_classes, self._rt = defense, num_classes, rt

    def batches(self, labels: Tensor, batch_size: int) -> list[Tensor]:
        """See `identity_batches`.

        Raises:
            ValueError: `batch_size` is not what the defence's people and images make.
        """
        defense = self._defense
        defense.check_training(batch_size, self._rt.precision)
        return identity_batches(labels, defense.identities_per_batch, defense.images_per_identity)

    def forward(self, model: Target, images: Tensor, labels: Tensor, progress: Progress) -> Loss:
        """The loss; its parts `input_dependence` and `label_dependence` are sums over layers.

        Raises:
            ValueError: the network reports no hidden layers.
        """
        del progress
        with self._rt.autocast():
            output = model(images)
        if not output.hidden:
            raise ValueError(f"arch: {type(model).__module__} reports no hidden layers for bido")
        logits = output.logits.float()
        main = losses.cross_entropy(logits, labels).mean()
        on_images, on_labels = self._dependences(output.hidden, images, labels)
        d = self._defense
        return Loss(
            main + d.input_weight * on_images - d.label_weight * on_labels,
            {
                "main_loss": main.detach(),
                "input_dependence": on_images.detach(),
                "label_dependence": on_labels.detach(),
                "train_accuracy": (logits.argmax(dim=1) == labels).float().mean(),
            },
        )

    def _dependences(
        self, hidden: tuple[Tensor, ...], images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sums over the hidden layers of d(Z, X) and of d(Z, Y)."""
        d, dtype = self._defense, solving_dtype(images.device)
        with torch.no_grad():  # the same for every layer, and nothing to learn
            one_hot = F.one_hot(labels, self._num_classes).float()
            kernels = [
                kernel_matrix(images.flatten(1), d.kernel, d.sigma),
                kernel_matrix(one_hot, d.label_kernel, d.sigma),
            ]
            of_images, of_labels = response(torch.stack(kernels), d.measure, dtype)
        layers = [kernel_matrix(z.flatten(1).float(), d.kernel, d.sigma) for z in hidden]
        of_layers = response(torch.stack(layers), d.measure, dtype)
        on_images = dependence(of_layers, of_images, d.measure).sum()
        on_labels = dependence(of_layers, of_labels, d.measure).sum()
        return on_images.float(), on_labels.float()
