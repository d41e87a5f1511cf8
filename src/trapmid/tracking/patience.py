"""Bounds on how long an answer may take as a whole.

The timeouts of sockets count from one byte to the next, so a server that sends a byte a second
holds its client for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

SECONDS = 10.0
"""How long tracking waits for a store, a server or another tracking before it gives up."""

_EASY_SECONDS = 1.0  # of a call, which are no waiting


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises.

    Raises:
        TimeoutError: it takes longer. Its thread is left alone and ends with the process.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # the caller's, who waits
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # the work's own
            raise
        raise TimeoutError(f"no whole answer in {seconds:.0f} s") from None


class Patient:
    """An object whose calls may take a second each, and all of them together `SECONDS` more.

    So a study of any size can be sent, and a server that is slow at every call is given up.
    """

    def __init__(self, bounded: Any) -> None:
        self._bounded = bounded
        self._left = SECONDS

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, getattr(self._bounded, name))

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        begun = time.monotonic()
        try:
            return within(self._left + _EASY_SECONDS, partial(method, *args, **kwargs))
        finally:
            self._left -= max(0.0, time.monotonic() - begun - _EASY_SECONDS)
