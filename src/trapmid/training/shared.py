"""One network on several processes, each of which takes a part of the rows of a batch.

Torch's wrappers (DistributedDataParallel, FSDP) give every process a loss of its own part and
average the gradients. Here a loss may couple all rows: Trap-MID draws one crop a batch and sums the
slopes of a class's trigger, BiDO compares all pairs. So every process computes the loss of the
whole batch, with the same random numbers, and the networks alone, which are nearly all of the work,
see a part of it. Activations are exchanged where torch's wrappers exchange gradients alone.

The maths is that of one process: batch statistics and gradients are of the whole batch, and differ
by the order in which floats are added (`torch.distributed` sums over processes).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trapmid.types import Output, Target


class Shared:
    """Networks whose forward passes are shared by all processes, until `release`."""

    def __init__(self) -> None:
        self._handles: list[Any] = []
        self._norms: list[_BatchNorm] = []

    def add(self, network: Target) -> Target:
        """Shares `network`, in place; its weights and their names stay as they are.

        From now on every process must call it with the same images, and go backward alike. A
        backward pass through parts of it, asked one by one, raises a ValueError.
        """
        call = _Call(type(network).__module__)
        learning = [p for p in network.parameters() if p.requires_grad]
        self._handles += [
            network.register_forward_pre_hook(call.begin),
            network.register_forward_hook(call.end),
            *(p.register_post_accumulate_grad_hook(call.sum_gradient) for p in learning),
        ]
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                self._norms.append(module)
                module.forward = partial(_normalise, module, call)  # type: ignore[method-assign]
        return network

    def release(self) -> None:
        """Every network is again one that a process computes alone."""
        for handle in self._handles:
            handle.remove()
        for norm in self._norms:
            del norm.forward


class _Call:
    """One forward pass of the network that the module `name` has."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked = False  # whether a forward pass was ever shared
        self.rows = 0
        self.shared = False  # few rows: every process computes them all
        self._drawn = torch.empty(0)

    def begin(self, network: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (images,) = given
        self.rows, self.shared = len(images), len(images) >= dist.get_world_size()
        if not self.shared and network.training:
            raise ValueError(
                f"batch_size: {self.rows} images are less than {dist.get_world_size()} processes"
            )
        self._drawn = _random_state(images.device)
        return (_Part.apply(images),) if self.shared else given

    def end(self, _: nn.Module, given: object, output: Output) -> Output:
        """The outputs of all rows.

        Raises:
            ValueError: the network drew random numbers, which each process would use for its rows.
        """
        if not torch.equal(self._drawn, _random_state(output.logits.device)):
            raise ValueError(
                f"{self._name}: draws random numbers for a batch, "
                "which processes cannot share; train it in one"
            )
        if not self.shared:
            return output
        self.shared, self._asked = False, True
        whole = partial(_Whole.apply, self.rows)
        return Output(
            whole(output.logits), whole(output.features), tuple(map(whole, output.hidden))
        )

    def sum_gradient(self, parameter: nn.Parameter) -> None:
        """After a backward pass each process has the gradient by its own rows.

        Raises:
            ValueError: it has that of all rows, since nobody asked the network as a whole.
        """
        if not self._asked:
            raise ValueError(
                f"{self._name}: its loss does not ask the whole network at once, "
                "which processes cannot share; train it in one"
            )
        assert parameter.grad is not None
        parameter.grad.copy_(_summed(parameter.grad))  # in place: it keeps its layout


def _random_state(device: torch.device) -> Tensor:
    """Where torch's global streams are, that of the device included."""
    state = torch.get_rng_state()
    if device.type != "cuda":
        return state
    return torch.cat([state, torch.cuda.get_rng_state(device)])


def _own(rows: int) -> slice:
    """The rows of this process, of so many."""
    rank, size = dist.get_rank(), dist.get_world_size()
    return slice(rows * rank // size, rows * (rank + 1) // size)


def _summed(tensor: Tensor) -> Tensor:
    """The sum over all processes; half precision travels as float32."""
    total = tensor.contiguous().to(torch.promote_types(tensor.dtype, torch.float32), copy=True)
    dist.all_reduce(total)
    return total.to(tensor.dtype)


def _spread(part: Tensor, rows: int) -> Tensor:
    """The rows of all processes, each of which has a part."""
    whole = part.new_zeros(rows, *part.shape[1:])
    whole[_own(rows)] = part
    return _summed(whole)


class _Part(torch.autograd.Function):
    """Own rows of a batch; the slope is of all of them."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        ctx.rows = len(images)
        return images[_own(len(images))]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return _spread(slope, ctx.rows)


class _Whole(torch.autograd.Function):
    """Everybody's rows; as everybody's loss is the same, the slope is that of own rows."""

    @staticmethod
    def forward(ctx: Any, rows: int, part: Tensor) -> Tensor:
        ctx.rows = rows
        return _spread(part, rows)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[None, Tensor]:
        return None, slope[_own(ctx.rows)]


class _Total(torch.autograd.Function):
    """A sum over processes that goes on into everybody's rows, and so does its slope."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        return _summed(own)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return _summed(slope)


class _Statistics(NamedTuple):
    """Of all rows of a batch, by channel (C,)."""

    mean: Tensor
    variance: Tensor  # with n in the denominator
    values: Tensor  # n, a scalar: of one channel


def _normalise(norm: _BatchNorm, call: _Call, x: Tensor) -> Tensor:
    """`norm(x)` by the statistics of everybody's rows; torch's SyncBatchNorm needs a GPU."""
    if not (norm.training and call.shared):
        return type(norm).forward(norm, x)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    found = _statistics(wide)
    _remember(norm, found)
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    scale = (found.variance + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight
    out = (wide - found.mean.view(shape)) * scale.view(shape)
    return (out + norm.bias.view(shape) if norm.affine else out).to(x.dtype)


def _statistics(x: Tensor) -> _Statistics:
    dims = [0, *range(2, x.ndim)]
    own = x.new_tensor([x.numel() / x.shape[1]])
    sums = _Total.apply(torch.cat([x.sum(dim=dims), own]))
    values = sums[-1].detach()
    mean = sums[:-1] / values
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    squares = (x - mean.view(shape)).square().sum(dim=dims)
    return _Statistics(mean, _Total.apply(squares) / values, values)


@torch.no_grad()
def _remember(norm: _BatchNorm, found: _Statistics) -> None:
    """Running statistics, as torch keeps them."""
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    seen = float(norm.num_batches_tracked)
    weight = 1 / seen if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(found.mean, weight)
    norm.running_var.lerp_(found.variance * found.values / (found.values - 1), weight)
