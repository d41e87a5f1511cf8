"""Other work beside a measurement: a stage takes longer while others run than it takes alone."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_READY = b"."


@contextmanager
def company(count: int, threads: int) -> Iterator[None]:
    """`count` processes that train something small, on `threads` threads each, inside the block.

    They have begun when the block does, and end with this process, however it ends.
    """
    command = [sys.executable, "-m", "trapmid.planning.company"]
    own = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen(
                command, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            stack.enter_context(process)  # closes its input, on which it ends, and waits
            assert process.stdout is not None
            if process.stdout.read(1) != _READY:
                raise OSError("a process that was to work beside the measurement did not begin")
        yield


def _main() -> None:
    """Forward and backward through a convolution until the input ends."""
    import torch

    layer = torch.nn.Conv2d(32, 32, 3, padding=1)
    images = torch.randn(64, 32, 32, 32)
    layer(images).sum().backward()
    sys.stdout.buffer.write(_READY)
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], 0)[0]:
        layer(images).sum().backward()


if __name__ == "__main__":
    _main()
