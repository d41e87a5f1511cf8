"""Studies: what they are made of, what they take, running them, and what they leave."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trapmid.commands import PARAMS, refuse, text_of, told

if TYPE_CHECKING:
    from trapmid.profiles.part import Part

PAPER = Path("reports/paper")
"""The folder of the paper's tables."""


def profile(options: argparse.Namespace) -> int:
    from trapmid.profiles import preflight
    from trapmid.profiles.compose import compose, every_block
    from trapmid.profiles.text import check_replaceable

    text = compose(options.name, options.seeds, part=_part(options))
    if not options.force:
        check_replaceable(PARAMS)
    if found := preflight.problems(text) or preflight.block_problems(every_block(options.name)):
        return refuse(found, f"trapmid profile {options.name}")
    from trapmid.artifacts.checkpoints import write_atomically

    write_atomically(PARAMS, text.encode())
    what = "" if options.table is None else f", what its table {options.table} needs"
    print(f"{PARAMS} is now profile {options.name}{what}; `dvc repro` runs it")
    return 0


def _part(options: argparse.Namespace) -> Part | None:
    """What the table of the paper needs for which `--table` asks; None: the whole profile."""
    if options.table is None:
        return None
    from trapmid.profiles.part import Part
    from trapmid.report.published import tables
    from trapmid.report.published.rows import needed

    published = tables.read(PAPER)
    numbers = [one for one in published.numbers if one.table == options.table]
    if not numbers:
        known = [one.table for one in published.tables]
        raise ValueError(f"--table: no {options.table}; there are {min(known)} to {max(known)}")

    def chosen(params: Mapping[str, Any]) -> Collection[str]:
        if rows := needed(params, numbers):
            return rows
        raise ValueError(
            f"--table {options.table}: no attack of profile {options.name} answers it; "
            "docs/reproduce.md says which profile does"
        )

    return Part(f"--table {options.table}", chosen)


def plan(options: argparse.Namespace) -> int:
    from trapmid.config import params
    from trapmid.planning import plan
    from trapmid.planning.throughputs import KEPT, ThisMachine, beside_other_work
    from trapmid.profiles import preflight
    from trapmid.profiles.compose import compose

    text = compose(options.name, options.seeds, part=_part(options))
    if wrong := preflight.problems(text):
        return refuse(wrong, f"trapmid plan {options.name}")
    study = params.parse(text)
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


def check(options: argparse.Namespace) -> int:
    from trapmid.profiles import lockfile, preflight

    who = f"trapmid {options.command}"
    found = preflight.problems(text_of(options.file), str(options.file))
    if not found:
        print(f"{options.file}: every row and every block can be built")
    broken = lockfile.problem(options.file.with_name("dvc.lock"))
    code = refuse([*found, *([broken] if broken else [])], who)
    return code if found else min(code, 1)


def run(options: argparse.Namespace) -> int:
    from trapmid.engine import session
    from trapmid.profiles import lockfile, preflight
    from trapmid.runtime import choose_device

    found = preflight.problems(text_of())
    broken = lockfile.problem(Path("dvc.lock"))
    if found or broken:
        return refuse([*found, *([broken] if broken else [])], f"trapmid {options.command}")
    if options.resource and not (options.scheduler or options.slurm):
        raise ValueError("--resource: is of a worker, so it goes with --scheduler or --slurm")
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

    text = text_of()
    if found := preflight.problems(text):  # which rows, then?
        return refuse(found, f"trapmid {options.command}")
    if (broken := lockfile.problem(Path("dvc.lock"))) is not None:
        return refuse([broken], f"trapmid {options.command}")
    paths = leftovers.find(Path(), params.parse(text))
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


def audit(options: argparse.Namespace) -> int:
    from trapmid.artifacts.checkpoints import CheckpointError
    from trapmid.audit import run
    from trapmid.audit.folder import Folder

    asked = (
        "model",
        "private",
        "public",
        "min_images",
        "most_images",
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
        print(f"trapmid audit: error: {told(error)}", file=sys.stderr)
        return 1
    return 0
