"""The machine: Python, torch, where and how precisely it computes, memory, disk, cores."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from trapmid.doctor.finding import Finding

_GIB = 2**30
_LITTLE_MEMORY = 2 * _GIB  # the default study's largest stage has 1.3 GB
_LITTLE_DISK = 2 * _GIB  # the default study leaves 0.4 GB; what is decoded comes on top
_PYTHONS = ((3, 11), (3, 14))  # from, below: pyproject.toml
_THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "TRAPMID_DEVICE")
_LEVELS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")


def python() -> Iterator[Finding]:
    """The interpreter."""
    low, high = _PYTHONS
    version = platform.python_version()
    if low <= sys.version_info[:2] < high:
        yield Finding("python", version)
    else:
        wanted = "3.11 to 3.13"
        remedy = (
            f"make the environment anew with one of {wanted} (`make install PYTHON=python3.12`)"
        )
        yield Finding("python", f"{version}, tested are {wanted}", "missing", remedy)


def torch() -> Iterator[Finding]:
    """torch and torchvision, the device, and what it computes in."""
    try:
        import torch as installed
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:  # OSError: a library that is missing
        reason = f"cannot be imported ({error})"
        yield Finding("torch", reason, "missing", "`make install` installs both as one")
        return
    yield Finding("torch", f"{installed.__version__}, torchvision {torchvision.__version__}")
    from trapmid.runtime import bf16_is_native, choose_device, onednn_level

    try:
        device = choose_device()
    except ValueError as error:
        yield Finding("device", str(error), "missing", "or unset TRAPMID_DEVICE")
        return
    yield Finding("device", f"{device}: {_device_name(device.type)}")
    native = bf16_is_native(device)
    level = f"; instructions {installed.backends.cpu.get_cpu_capability()}, oneDNN {onednn_level()}"
    bounded = [f"{name}={os.environ[name]}" for name in _LEVELS if name in os.environ]
    chosen = "bf16, which it has in hardware" if native else "fp32; bf16 is emulated here, and slow"
    text = f"`auto` is {chosen}{level if device.type == 'cpu' else ''}"
    yield Finding("precision", ", ".join([text, *bounded]))


def _device_name(kind: str) -> str:
    if kind == "cuda":
        import torch as installed

        found = installed.cuda.get_device_properties(0)
        return f"{found.name}, {found.total_memory / _GIB:.0f} GiB"
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory() -> Iterator[Finding]:
    """Of the machine, or of the container that this runs in."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        yield Finding("memory", f"{total / _GIB:.1f} GiB")
        return
    pairs = (line.split(":") for line in info.read_text(encoding="ascii").splitlines())
    known = {name: int(value.split()[0]) * 1024 for name, value in pairs}
    total, free = known["MemTotal"], known.get("MemAvailable", known["MemFree"])
    bound = _cgroup("memory.max")
    if bound and int(bound) < total:
        total, free = int(bound), min(free, int(bound) - _taken())
    text = f"{total / _GIB:.1f} GiB, {free / _GIB:.1f} GiB free"
    if free < _LITTLE_MEMORY:
        remedy = "end other programs; a smaller batch_size needs less"
        yield Finding("memory", text, "note", remedy)
    else:
        yield Finding("memory", text)


def _taken() -> int:
    """Bytes of the container that cannot be had again: files that lie in memory can."""
    pairs = (line.split() for line in (_cgroup("memory.stat") or "").splitlines())
    files = {name: int(value) for name, value in pairs}.get("inactive_file", 0)
    return int(_cgroup("memory.current") or 0) - files


def _cgroup(name: str) -> str | None:
    """A bound of the container; None: there is none."""
    file = Path("/sys/fs/cgroup") / name
    text = file.read_text(encoding="ascii").strip() if file.is_file() else "max"
    return None if text.startswith("max") else text


def disk(home: Path) -> Iterator[Finding]:
    """Where the study's files are written."""
    usage = shutil.disk_usage(home)
    text = f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.0f}"
    if usage.free < _LITTLE_DISK:
        remedy = (
            "`trapmid clean` frees some, `dvc gc --all-commits --all-experiments` what no commit "
            "and no experiment has (of a shared cache add --projects); docs/sharing.md has links"
        )
        yield Finding("disk", text, "note", remedy)
    else:
        yield Finding("disk", text)


def cores(environment: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """How many cores this process may use, and how many threads torch takes."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup("cpu.max")
    share = None if quota is None else int(quota.split()[0]) / int(quota.split()[1])
    import torch as installed

    threads = installed.get_num_threads()
    said = [f"{name}={environment[name]}" for name in _THREADS if name in environment]
    text = ", ".join([f"{count}", f"torch takes {threads} threads", *said])
    most = count if share is None else min(count or 1, max(1, round(share)))
    if most is not None and threads > most:
        what = f"{text}, but may use {most}"
        yield Finding("cores", what, "note", f"set OMP_NUM_THREADS={most}")
    else:
        yield Finding("cores", text)
