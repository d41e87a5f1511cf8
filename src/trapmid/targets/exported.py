"""A classifier that was trained elsewhere, as a program of `torch.export`.

Its file is kept in the checkpoint byte by byte, as the state of a network that has nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from trapmid.nets import program
from trapmid.nets.program import STATE
from trapmid.types import Output, Target


class Network(Target):
    """Asks the program. Features are its second output, or else its logits.

    Hooks on parts of a program never fire, so no defence and no surrogate can alter it. It is
    always in eval mode: what was traced cannot be switched.
    """

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.num_classes, self.image_size = num_classes, image_size
        self.training = False
        self._file = torch.empty(0, dtype=torch.uint8)
        self._device = torch.device("cpu")
        # In a list: a submodule's weights would be saved a second time, beside the file.
        self._asked: list[nn.Module] = []

    def forward(self, images: Tensor) -> Output:
        if not self._asked:
            raise ValueError(
                "arch: exported has no program; `init` names it: a .pt2 file, a .py file, or a "
                "folder of one .py and one .pt"
            )
        return Output(*program.ask(self._asked[0], images))

    @property
    def embedding_dim(self) -> int:  # type: ignore[override]
        raise ValueError(f"arch: {__name__} has no trunk apart from its head")

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Takes a program, after it has shown that it can be attacked.

        Raises:
            RuntimeError: there is none, or it does not do what it must (`nets.program.check`).
        """
        if set(state) != {STATE}:
            raise RuntimeError("holds weights and no network; export the model with torch.export")
        content = state[STATE].numpy().tobytes()
        program.check(program.read(content), self.num_classes, self.image_size)
        self.load_state_dict(state, strict=True)

    def get_extra_state(self) -> Tensor:
        return self._file

    def set_extra_state(self, state: Any) -> None:
        if not isinstance(state, Tensor) or state.dtype != torch.uint8 or state.dim() != 1:
            raise RuntimeError(f"{STATE}: must be the bytes of a program")
        if self._asked and torch.equal(state, self._file):
            return
        self._file = state.detach().cpu().clone()
        self._open()

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode.

        Raises:
            ValueError: training mode is asked for.
        """
        if mode:
            raise ValueError(
                "arch: exported cannot be trained, and has no training mode: take it as it is "
                "(a training of 0 epochs, no defence), and no method that trains beside it"
            )
        return self

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        for one in self._asked:
            yield from one.named_parameters(prefix, recurse, remove_duplicate)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves the program, and the constants that it makes by itself, too."""
        device = fn(torch.empty(0)).device
        if device != self._device:
            self._device = device
            if self._asked:
                self._open()
        for one in self._asked:
            one._apply(fn)
        return self

    def _open(self) -> None:
        """Takes the program from its file, once more where the device is another."""
        self._asked = [program.asked(program.read(self._file.numpy().tobytes()), self._device)]
