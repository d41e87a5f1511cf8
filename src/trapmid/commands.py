"""What every subcommand of `trapmid` does: from its options to its exit code.

Each imports what it needs by itself, so that the help costs no second.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trapmid.scoring.means import StudyMeans

PARAMS = Path("params.yaml")
BASELINE = Path("reports/baseline.json")


def data(options: argparse.Namespace) -> int:
    from trapmid.placing import celeba, lfw

    try:
        if options.name == "lfw":
            if options.identities is not None:
                raise ValueError("--identities: of celeba alone; LFW's people are its folders")
            told = lfw.place(options.source, options.to or lfw.PLACE, copy=options.copy)
        elif options.source is None:
            raise ValueError("--from is missing: CelebA comes from its authors, never from here")
        else:
            told = celeba.place(
                options.source,
                options.to or celeba.PLACE,
                copy=options.copy,
                identities=options.identities,
            )
    except (ValueError, OSError) as error:
        return min(_refuse([str(error)], f"trapmid {options.command}"), 1)
    print(*told, sep="\n")
    return 0


def doctor(_: argparse.Namespace) -> int:
    from trapmid.doctor import examination

    findings = examination.examine(Path())
    print(*(finding.line() for finding in findings), sep="\n")
    return 1 if any(finding.is_fatal for finding in findings) else 0


def bench(options: argparse.Namespace) -> int:
    folder = Path("benchmarks").absolute()
    if not (folder / "bench/run.py").is_file():
        return min(_refuse(["no benchmarks/bench here; run this in a clone"], "trapmid bench"), 1)
    sys.path.insert(0, str(folder))  # no part of the package: the procedures of others are there
    run = importlib.import_module("bench.run")
    run.run(run.Asked(options.quick, options.only, options.out, options.seconds, options.beside))
    return 0


def audit(options: argparse.Namespace) -> int:
    from trapmid.artifacts.checkpoints import CheckpointError
    from trapmid.audit import run
    from trapmid.audit.folder import Folder

    asked = (
        "model",
        "private",
        "public",
        "min_images",
        "image_size",
        "classes",
        "profile",
        "verifier",
        "force",
    )
    request = run.Request(**{name: getattr(options, name) for name in asked})
    folder = Folder(options.folder or run.default_folder(request.model), Path())
    try:
        run.prepare(request, folder)
        if not options.write_only:
            run.execute(folder, browse=not options.no_browser)
    except (CheckpointError, ValueError, OSError) as error:
        print(f"trapmid audit: error: {error}", file=sys.stderr)
        return 1
    return 0


def gate(options: argparse.Namespace) -> int:
    from trapmid.config import params
    from trapmid.config.evaluation import Gate
    from trapmid.scoring import gate
    from trapmid.scoring.means import StudyMeans

    study = params.read(PARAMS)
    tolerances = params.build(Gate, params.section(study, "gate"), "gate")
    now = StudyMeans.read(options.scores)
    path, own = _baselines(options.baseline, now)
    old = StudyMeans.read(path) if path.exists() else None
    made = own if old is not None and gate.other_profile(now, old) else path
    other = None if old is None else gate.other_study(now, old)
    if not options.update:
        if old is None:
            raise ValueError(f"{path}: no such file; `trapmid gate --update` makes it")
        if other:
            raise ValueError(f"{path} is {other}: `trapmid gate --update` makes {made} of them")
    like = now if old is None or other else old
    verdicts = gate.compare(now, like, tolerances)
    print(gate.table(verdicts, tolerances))
    if note := gate.other_machine(now, like):
        print(f"note: {note}")
    if options.update:
        return _update(made, options.scores, now)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _baselines(chosen: Path | None, now: StudyMeans) -> tuple[Path, Path]:
    """The baseline to compare with, and the one to make where that is of another profile."""
    if chosen is not None or now.study is None:
        return (chosen or BASELINE,) * 2
    own = BASELINE.with_name(f"{BASELINE.stem}-{now.study.profile}.json")
    return (own if own.exists() else BASELINE), own


def _update(path: Path, scores: Path, now: StudyMeans) -> int:
    """Makes the scores, which are `now`, the baseline `path`."""
    from trapmid.artifacts.checkpoints import write_atomically
    from trapmid.scoring import gate

    if invalid := gate.failures(now, weak=False):
        raise ValueError(
            f"{scores}: {', '.join(invalid)} failed, so the study is invalid: no baseline "
            "is made of it"
        )
    write_atomically(path, scores.read_bytes())
    if weak := gate.failures(now, weak=True):
        print(f"weak: {', '.join(weak)} failed; the gate marks it and passes while that stays so")
    print(f"{path} is now a copy of {scores}; commit it to make it count")
    return 0


def check(options: argparse.Namespace) -> int:
    from trapmid.profiles import lockfile, preflight

    if not options.file.is_file():
        raise ValueError(f"{options.file}: no such file; run this at the root of the project")
    who = f"trapmid {options.command}"
    found = preflight.problems(options.file.read_text(encoding="utf-8"))
    if not found:
        print(f"{options.file}: every row and every block can be built")
    broken = lockfile.problem(options.file.with_name("dvc.lock"))
    code = _refuse([*found, *([broken] if broken else [])], who)
    return code if found else min(code, 1)


def _refuse(problems: Sequence[str], who: str) -> int:
    """Prints problems, a line each; the exit code."""
    for problem in problems:
        print(f"{who}: error: {problem}", file=sys.stderr)
    return 2 if problems else 0


def profile(options: argparse.Namespace) -> int:
    from trapmid.profiles import preflight
    from trapmid.profiles.compose import compose, every_block
    from trapmid.profiles.text import check_replaceable

    text = compose(options.name, options.seeds)
    if not options.force:
        check_replaceable(PARAMS)
    if found := preflight.problems(text) or preflight.block_problems(every_block(options.name)):
        return _refuse(found, f"trapmid profile {options.name}")
    from trapmid.artifacts.checkpoints import write_atomically

    write_atomically(PARAMS, text.encode())
    print(f"{PARAMS} is now profile {options.name}; `dvc repro` runs it")
    return 0


def plan(options: argparse.Namespace) -> int:
    from trapmid.config import params
    from trapmid.planning import plan
    from trapmid.planning.throughputs import KEPT, ThisMachine, beside_other_work
    from trapmid.profiles.compose import compose

    study = params.parse(compose(options.name, options.seeds))
    if options.card is not None:
        from trapmid.planning.card import Card

        card = Card.read(options.card)
        found = plan.plan(study, card)
        print(f"profile {options.name} on {card.device}, the work of its networks alone")
        print(*plan.table(found, hours=True), sep="\n")
        return 0
    import torch

    from trapmid.engine import session
    from trapmid.planning.company import company
    from trapmid.runtime import choose_device

    device, jobs = choose_device(), options.jobs
    if jobs is not None:
        jobs, threads = session.shares(jobs, None, device.type, os.environ)
        torch.set_num_threads(threads or torch.get_num_threads())
    machine = ThisMachine(device, KEPT, jobs=jobs)
    if options.beside:
        machine.now = beside_other_work()
    machine.drawing()  # without company: it is most of what runs alone
    others = 0 if options.beside else (jobs or 1) - 1
    with company(others, torch.get_num_threads()):
        found = plan.plan(study, machine, jobs)
    how = "one stage after the other" if jobs is None else f"`trapmid run --jobs {jobs}`"
    print(f"profile {options.name} on this machine, {how}")
    print(*plan.table(found, hours=False), sep="\n")
    return 0


def run(options: argparse.Namespace) -> int:
    from trapmid.engine import session
    from trapmid.profiles import lockfile, preflight
    from trapmid.runtime import choose_device

    found = preflight.problems(PARAMS.read_text(encoding="utf-8"))
    broken = lockfile.problem(Path("dvc.lock"))
    if found or broken:
        return _refuse([*found, *([broken] if broken else [])], f"trapmid {options.command}")
    jobs, threads = options.jobs, options.threads
    if options.scheduler or options.slurm:
        jobs = 1  # nobody's: workers come and go
    else:
        jobs, threads = session.shares(jobs, threads, choose_device().type, os.environ)
    plan = session.Plan(
        targets=tuple(options.stages),
        jobs=jobs,
        cold=options.cold,
        threads=threads,
        scheduler=options.scheduler,
        slurm=options.slurm,
        resources=dict(options.resource),
    )
    return session.run(Path(), plan)


def clean(options: argparse.Namespace) -> int:
    from trapmid import leftovers
    from trapmid.config import params
    from trapmid.profiles import lockfile, preflight

    study = params.read(PARAMS)
    if found := preflight.problems(PARAMS.read_text(encoding="utf-8")):  # which rows, then?
        return _refuse(found, f"trapmid {options.command}")
    if (broken := lockfile.problem(Path("dvc.lock"))) is not None:
        return _refuse([broken], f"trapmid {options.command}")
    paths = leftovers.find(Path(), study)
    if options.yes:
        leftovers.remove(Path(), paths)
    for path in paths:
        print(path)
    if not paths:
        print(f"nothing is left over: rows of {PARAMS} make all there is")
    elif options.yes:
        print(f"removed {len(paths)}; the next `dvc repro` writes the report anew")
    else:
        print(f"{len(paths)} left over; `trapmid clean --yes` removes them")
    return 0


def ui(options: argparse.Namespace) -> int:
    from trapmid import ui

    ui.show(Path(), options.port, browse=not options.no_browser)
    return 0


def export(options: argparse.Namespace) -> int:
    from trapmid.artifacts import priors
    from trapmid.artifacts.checkpoints import CheckpointError

    try:
        digest = priors.export(options.prior, options.file)
    except CheckpointError as error:
        raise ValueError(error) from None
    print(f"{digest}  {options.file}")
    return 0


def take(options: argparse.Namespace) -> int:
    from trapmid.artifacts.checkpoints import CheckpointError
    from trapmid.foreign import importing
    from trapmid.runtime import Runtime, choose_device

    if options.kind not in importing.NAMES:
        raise ValueError(f"--as: no {options.kind!r}; there are {', '.join(importing.NAMES)}")
    rt = Runtime(device=choose_device(), seed=0, precision="fp32")
    try:
        lines = importing.import_file(
            options.file, options.kind, options.out, options.beside, options.data, rt
        )
    except CheckpointError as error:
        print(f"trapmid import: error: {error}", file=sys.stderr)
        return 1
    print(*lines, sep="\n")
    return 0


def convert_stylegan(options: argparse.Namespace) -> int:
    from trapmid.artifacts import nvidia
    from trapmid.artifacts.checkpoints import CheckpointError

    try:
        found = nvidia.convert(options.file, options.out)
    except CheckpointError as error:
        raise ValueError(error) from None
    print(f"{found.digest}  {options.out}")
    print(f"a generator of {found.size.image_size} pixels, {found.parameters:,} parameters")
    print(f"licence: {nvidia.LICENCE}")
    print(f"prior_training.style: {nvidia.block(found.size)}")
    return 0
