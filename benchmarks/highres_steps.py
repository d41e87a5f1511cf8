"""What two steps of everything in the high-resolution track take on one thread of a CPU.

    python benchmarks/highres_steps.py [--out FILE.json] [--only NAME ...] [--toy]

Prints the table of docs/reproduce.md: profile `paper_highres` at its true sizes, but for StyleGAN2
at 256 pixels with random weights, batches of four, and two images in candidates and searches.
Every line is a process of its own: seconds of CPU, with the making of the networks and without the
start of Python, and the most memory that the process had. A stage is measured whole. It needs
timm, 6 GB of memory and some five minutes; `--toy` tries every line at 32 pixels: no results.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from bench.paths.styles import Phases
from bench.rows import processor
from gpu import styles
from gpu.results import PREPARED, Book
from gpu.study import World
from PIL import Image

from trapmid import wiring
from trapmid.profiles.compose import compose
from trapmid.training import classifier
from trapmid.training.fit import Labelled
from trapmid.types import InMemory, Target

ROOT = Path(__file__).resolve().parents[1]
ROW, PEOPLE, EACH = "celeba_hd", 4, 5  # 20 crops of private people, and as many public faces
BATCH = 4


class Taken(NamedTuple):
    """What one line took."""

    seconds: float  # of CPU
    gigabytes: float  # at most in memory, Python and torch included
    alone: float | None = None  # seconds of the search alone; None: the line has no parts


def trained(arch: str, defense: str, *, toy: bool) -> Taken:
    """Two steps of a classifier, and its answer about one image."""
    world = _world(toy=toy)
    size = world.sizes.image_size
    splits = world.splits(2 * BATCH)
    splits = splits._replace(test=Labelled(splits.test.images[:1], splits.test.labels[:1]))

    def network(outputs: int) -> Target:
        return wiring.target("small_vgg" if toy else arch)(outputs, size)

    plan, rt = world.plan(batch_size=BATCH, epochs=1), world.runtime()
    begun = time.process_time()
    classifier.train(world.defense(defense), network, splits, plan, rt, InMemory())
    return _taken(begun)


def candidates(*, toy: bool) -> Taken:
    """Four latents of the pool, that the target is asked about twice each."""
    begun = time.process_time()
    Phases(_world(toy=toy), pool=4, keep=2, rows=2, steps=2).candidates(time.process_time)
    return _taken(begun)


def ppa(*, toy: bool) -> Taken:
    """The search and the selection."""
    begun = time.process_time()
    phases = Phases(_world(toy=toy), pool=4, keep=2, rows=2, steps=2, views=2)
    phases.candidates(time.process_time)
    made = time.process_time()
    phases.search(time.process_time)
    phases.selection(time.process_time)
    return _taken(begun, made)


def ifgmi(*, toy: bool) -> Taken:
    begun = time.process_time()
    phases = Phases(_world(toy=toy), pool=4, keep=2, rows=2, steps=2)
    phases.candidates(time.process_time)
    made = time.process_time()
    phases.layers(time.process_time)
    return _taken(begun, made)


LINES: dict[str, Callable[..., Taken]] = {
    "DenseNet-169, no defence": partial(trained, "densenet169", "none"),
    "ResNet-152, no defence": partial(trained, "resnet152", "none"),
    "ResNeSt-101, no defence": partial(trained, "resnest101", "none"),
    "Inception-v3, the evaluator": partial(trained, "inception_v3", "none"),
    "candidates, ResNet-152, four latents": candidates,
    "PPA on ResNet-152, two images, two steps, two views of the selection": ppa,
    "IF-GMI on ResNet-152, two images, two steps of the codes and one of each layer": ifgmi,
    "ResNet-152, Trap-MID": partial(trained, "resnet152", "trapmid"),
}
STAGES = {
    f"`prepare_data` of {2 * PEOPLE * EACH} crops (the stage itself)": ("prepare_data", ROW),
    f"`validate_data` of {2 * PEOPLE * EACH} crops (the stage itself)": ("validate_data", ROW),
    "`train_prior` of the StyleGAN2 without a step, with its 40 samples (the stage itself)": (
        *("train_prior", "public_priors", "style"),
    ),
}


def _world(*, toy: bool) -> World:
    book = Book(PREPARED / "highres", toy=toy, device=torch.device("cpu"), code="steps")
    return World(book, styles.TOY if toy else styles.SMALLER)


def _taken(begun: float, made: float | None = None) -> Taken:
    now = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return Taken(now - begun, peak, None if made is None else now - made)


def in_a_process(name: str, *, toy: bool) -> Taken:
    """A line of `LINES`.

    Raises:
        RuntimeError: it did not end well; what it printed is the message.
    """
    command = [sys.executable, __file__, "--line", name, *(["--toy"] if toy else [])]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip()[-500:]}")
    return Taken(*json.loads(done.stdout.splitlines()[-1]))


def stage(words: tuple[str, ...], folder: Path) -> Taken:
    """A stage of the study in `folder`, as a process.

    Raises:
        RuntimeError: it did not end well; its error is the message.
    """
    command = [sys.executable, str(ROOT / f"stages/{words[0]}.py"), *words[1:]]
    with (folder / "log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdout=log, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(words)}: {log.read().strip()[-500:]}")
    return Taken(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9)


def fabricate(folder: Path, *, toy: bool) -> None:
    """A study in `folder`: its parameters, and pictures of coloured noise where it seeks crops."""
    study = yaml.safe_load(compose("paper_highres", [0], ROOT / "profiles"))
    small = {"image_size": 32} if toy else {}
    study["data"][ROW] |= {"identities": PEOPLE, "min_images": EACH, "public_images": PEOPLE * EACH}
    study["data"][ROW] |= {"test_fraction": 0.2, "val_fraction": 0.2, **small}
    bounds = {"images_per_class": [EACH, EACH], "public_images": [PEOPLE * EACH] * 2}
    study["validation"] |= bounds
    less = {"latent_dim": 16, "base": 512, "generated": 32, "layers": 2} if toy else {}
    study["prior_training"]["style"] |= {**styles.SMALLER.narrow, **less}
    study["public_priors"]["style"] |= {"init": "weights/random"}
    (folder / "params.yaml").write_text(json.dumps(study), encoding="utf-8")
    (folder / "weights").symlink_to(ROOT / "weights")
    side = 64 if toy else 572
    private, public = (folder / f"data/external/{name}" for name in (ROW, "ffhq_hd"))
    (private / "images").mkdir(parents=True)
    (public / "00000").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, PEOPLE * EACH + 1)]
    people = [f"{name} {1 + number // EACH}\n" for number, name in enumerate(names)]
    (private / "identity_CelebA.txt").write_text("".join(people), encoding="utf-8")
    for number, name in enumerate(names):
        _draw(private / "images" / name, number, side)
        _draw(public / f"00000/{number:05d}.png", 1000 + number, side)


def _draw(file: Path, number: int, side: int) -> None:
    draw = torch.Generator().manual_seed(number)
    coarse = torch.randint(256, (8, 8, 3), dtype=torch.uint8, generator=draw).numpy()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(file)


def markdown(taken: dict[str, Taken]) -> str:
    """The table of docs/reproduce.md."""
    lines = ["| what | seconds | memory (GB) |", "|---|---|---|"]
    for name, one in taken.items():
        whole = f"{one.seconds:.0f}"
        words = whole if one.alone is None else f"{one.alone:.0f}, with networks and all {whole}"
        lines.append(f"| {name} | {words} | {one.gigabytes:.1f} |")
    return "\n".join(lines)


def _environment() -> dict[str, str]:
    """One thread, and this checkout's code."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    alone = {"OMP_NUM_THREADS": "1", "TRAPMID_DEVICE": "cpu"}
    return {**os.environ, **alone, "PYTHONPATH": path}


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a file of JSON for the numbers")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the lines' names")
    parser.add_argument("--toy", action="store_true", help="at 32 pixels: no results")
    parser.add_argument("--line", choices=LINES, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    words = _words()
    torch.set_num_threads(1)
    if words.line:
        print(json.dumps(LINES[words.line](toy=words.toy)))
        return
    actions: dict[str, Callable[[], Taken]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fabricate(folder, toy=words.toy)
        actions |= {name: partial(stage, one, folder) for name, one in STAGES.items()}
        actions |= {name: partial(in_a_process, name, toy=words.toy) for name in LINES}
        chosen = [name for name in actions if any(part in name for part in words.only)]
        if not chosen:
            sys.exit(f"highres_steps: --only: no line has that; there are {'; '.join(actions)}")
        try:
            taken = {name: actions[name]() for name in chosen}
        except RuntimeError as error:
            sys.exit(f"highres_steps: {error}")
    if words.out:
        words.out.write_text(json.dumps(_rows(taken, toy=words.toy), indent=1) + "\n", "utf-8")
    print(markdown(taken))


def _rows(taken: dict[str, Taken], *, toy: bool) -> list[dict[str, Any]]:
    about = {"device": processor(), "torch": torch.__version__, "toy": toy}
    about |= {"date": f"{datetime.now(UTC):%Y-%m-%d}", "threads": 1}
    return [{"name": name, **one._asdict(), **about} for name, one in taken.items()]


if __name__ == "__main__":
    main()
