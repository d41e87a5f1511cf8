"""The machine: what it is, how fast it multiplies matrices, and how fast it copies."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec

import torch

from gpu.clock import Now, repeated
from gpu.results import Book, Measure, Row, row

# (name, dtype, TF32)
RATES = (
    ("fp32", torch.float32, False),
    ("tf32", torch.float32, True),
    ("bf16", torch.bfloat16, False),
    ("fp16", torch.float16, False),
)
PACKAGES = (
    *("ruamel.yaml", "dvc", "mlflow", "opacus", "great_expectations", "pandas", "sklearn"),
    *("cleanfid", "scipy", "filelock", "tqdm", "PIL", "pytest", "matplotlib"),
)


def measurements(book: Book) -> dict[str, Measure]:
    """Without the library: so this part runs where packages are missing."""
    return {
        "what": partial(_what, book),
        "rates": partial(_rates, book),
        "copy": partial(_copy, book),
    }


def _what(book: Book) -> Iterator[Row]:
    yield row("cores", os.cpu_count(), "")
    yield row("python", platform.python_version(), "")
    yield row("CUDA", torch.version.cuda, "")
    yield row("missing packages", " ".join(p for p in PACKAGES if not _there(p)) or "none", "")
    yield row("matmul.allow_tf32 by default", torch.backends.cuda.matmul.allow_tf32, "")
    yield row("cudnn.allow_tf32 by default", torch.backends.cudnn.allow_tf32, "")
    if book.device.type == "cuda":
        about = torch.cuda.get_device_properties(book.device)
        yield row("memory", about.total_memory / 2**30, "GiB")
        yield row("multiprocessors", about.multi_processor_count, "")
        yield row("cuDNN", torch.backends.cudnn.version(), "")
    if shutil.which("nvidia-smi"):
        asked = "driver_version,power.limit,clocks.max.sm,clocks.max.memory"
        command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        yield row(f"nvidia-smi {asked}", told.stdout.strip(), "")


def _there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


def _rates(book: Book) -> Iterator[Row]:
    """Square products of normal numbers; zeros would run faster than real data."""
    n = 256 if book.toy else 8192
    before = torch.backends.cuda.matmul.allow_tf32
    for name, dtype, tf32 in RATES:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        rate = matrix_rate(n, dtype, book.device, 2 if book.toy else 10)
        yield row(f"rate {name}", rate / 1e12, "TFLOP/s", precision=name, size=n)
    torch.backends.cuda.matmul.allow_tf32 = before


def matrix_rate(
    n: int, dtype: torch.dtype, device: torch.device, times: int, now: Now = time.perf_counter
) -> float:
    """FLOP/s of products of two matrices (n, n)."""
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / repeated(partial(torch.matmul, a, b), device, times, now)


def copy_rate(count: int, device: torch.device, times: int, now: Now = time.perf_counter) -> float:
    """Bytes a second, read and written, of a copy of so many bytes."""
    source = torch.randint(256, (count,), dtype=torch.uint8, device=device)
    there = torch.empty_like(source)
    return 2 * count / repeated(partial(there.copy_, source), device, times, now)


def _copy(book: Book) -> Iterator[Row]:
    count = 2**20 if book.toy else 2**30
    times = 2 if book.toy else 10
    rate = copy_rate(count, book.device, times)
    yield row("device to device", rate / 1e9, "GB/s", note="read and written")
    here = torch.empty(count, dtype=torch.uint8, device=book.device)
    host = torch.zeros(count // 4, dtype=torch.uint8)
    seconds = repeated(partial(here[: count // 4].copy_, host), book.device, times)
    yield row("host to device, pageable", count / 4 / seconds / 1e9, "GB/s")
