"""Runs the parts one after another, each in a process of its own that a time limit ends."""

from __future__ import annotations

import argparse
import importlib
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch

from gpu.results import PREPARED, RESULTS, ROOT, Book, code_digest
from trapmid.runtime import choose_device


class Part(NamedTuple):
    module: str
    seconds: int  # at most


# In the order of their value: what comes last is lost first.
PARTS = {
    "machine": Part("gpu.machine", 60),
    "tests": Part("gpu.suite", 110),
    "published": Part("gpu.published", 140),
    "styles": Part("gpu.styles", 140),
    "training": Part("gpu.training", 200),
    "priors": Part("gpu.priors", 120),
    "searches": Part("gpu.searches", 180),
    "metrics": Part("gpu.scores", 60),
    "agreement": Part("gpu.agreement", 90),
    "variants": Part("gpu.variants", 140),
    "faces": Part("gpu.real", 520),
}


def main() -> None:
    words = _words()
    try:
        if words.prepare:
            _prepare(words.faces)
            return
        if words.judge:
            importlib.import_module("gpu.judge").main(words.judge, words.out)
            return
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"on_gpu: error: {error}")
    device = torch.device("cpu") if words.toy else choose_device()
    if not words.toy and device.type != "cuda":
        sys.exit("on_gpu: error: no CUDA device here; --toy tries every part on the CPU")
    book = Book(
        out=words.out.resolve(), toy=words.toy, device=device, code=code_digest(), end=words.until
    )
    if words.lane:
        importlib.import_module("gpu.real").lane(book)
        return
    if words.part:
        _run_part(book, words.part)
        return
    book.take_over()
    _fetch_yaml(toy=words.toy)
    _run_all(book, words.parts, words.seconds)
    _show(book)


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="on_gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="on the CPU, at toy size: no results")
    parser.add_argument("--prepare", action="store_true", help="copies ruamel.yaml beside it")
    parser.add_argument("--seconds", type=float, default=520, help="of all parts (520)")
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument(
        "--out", type=Path, help="$OUT or benchmarks/results; toy: build/on_gpu/toy"
    )
    parser.add_argument("--faces", type=Path, help="with --prepare: CelebA's folder, packed, too")
    parser.add_argument("--judge", type=Path, help="dlib judges the reconstructions of a folder")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--lane", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, default=math.inf, help=argparse.SUPPRESS)
    words = parser.parse_args()
    usual = PREPARED / "toy" if words.toy else Path(os.environ.get("OUT") or RESULTS)
    words.out = words.out or usual
    return words


def _run_all(book: Book, parts: list[str], seconds: float) -> None:
    end = time.monotonic() + seconds
    for name in parts:
        left = min(PARTS[name].seconds, end - time.monotonic())
        if left < 5:
            print(f"{name}: no time left; call again", flush=True)
            continue
        begun = time.monotonic()
        how = _in_a_process(book, name, left)
        print(f"{name}: {how} after {time.monotonic() - begun:.0f} s", flush=True)


def _in_a_process(book: Book, name: str, seconds: float) -> str:
    """How the part ended; its output is in the log."""
    command = [sys.executable, "-m", "gpu", "--part", name, "--out", str(book.out)]
    command += ["--until", str(time.time() + seconds), *(["--toy"] if book.toy else [])]
    book.out.mkdir(parents=True, exist_ok=True)
    with book.file(".log").open("a", encoding="utf-8") as log:
        print(f"--- {name}", file=log, flush=True)
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # pytest under it, too
            process.wait()
            return "cut off"
    return "done" if code == 0 else f"ended with {code}, see the log,"


def _run_part(book: Book, name: str) -> None:
    book.forget(f"{name}/all")
    try:
        measures = importlib.import_module(PARTS[name].module).measurements(book)
    except ModuleNotFoundError as error:
        book.fail(f"{name}/all", f"left out: {error}")
        sys.exit(1)
    for measurement, measure in measures.items():
        book.run(name, measurement, measure)


def _prepare(faces: Path | None) -> None:
    """Puts into the ignored folder what a bare machine lacks: ruamel.yaml, and images if asked."""
    _copy_yaml()
    print(f"{PREPARED.relative_to(ROOT)}: take it along; Git ignores it", flush=True)
    if faces is not None:
        importlib.import_module("gpu.faces").main(faces)


def _copy_yaml() -> None:
    """The pure part of ruamel.yaml, without which the library reads no parameters."""
    spec = find_spec("ruamel.yaml")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("on_gpu: error: --prepare needs ruamel.yaml; run it where the study is installed")
    target = PREPARED / "packages/ruamel/yaml"
    shutil.rmtree(target, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(spec.submodule_search_locations[0], target, ignore=ignored)


def _fetch_yaml(*, toy: bool) -> None:
    """One quick try to install what `--prepare` would have brought."""
    try:
        missing = find_spec("ruamel.yaml") is None
    except ModuleNotFoundError:
        missing = True
    if missing and not toy:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--retries", "0"]
        pip += ["--timeout", "5", "--target", str(PREPARED / "packages"), "ruamel.yaml"]
        try:
            subprocess.run(pip, timeout=20, check=True, capture_output=True)
        except (subprocess.SubprocessError, OSError):
            print("no ruamel.yaml: only machine and tests run; --prepare brings it", flush=True)


def _show(book: Book) -> None:
    """A short table: the end of the output is what a caller sees."""
    for one in book.rows():
        more = f" ({one['note']})" if one.get("note") else ""
        print(f"{one['name']}: {one['value']} {one['unit']}{more}")
    print(f"results: {book.file('.json')}")


if __name__ == "__main__":
    main()
