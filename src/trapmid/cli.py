"""The `trapmid` command: what a person does around `dvc repro`.

Every subcommand imports what it needs by itself, so that the help costs no second.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trapmid.scoring.means import StudyMeans

PARAMS = Path("params.yaml")
BASELINE = Path("reports/baseline.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand in the current folder; returns the exit code.

    A foreseen error is one line on stderr and exit code 2; a regression, a dvc.lock that a crash
    cut off, a checkpoint or data that cannot be taken, and what a study misses, is exit code 1.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code: int = options.run(options)
    except (ValueError, OSError) as error:
        print(f"trapmid {options.command}: error: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trapmid",
        description="Around `dvc repro`: choose a profile, judge the scores. Run it at the root.",
    )
    parser.add_argument("--version", action="version", version=f"trapmid {version('trapmid')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    gate = commands.add_parser("gate", help="compare the scores with the committed baseline")
    gate.add_argument("--scores", type=Path, default=Path("reports/metrics.json"))
    gate.add_argument(
        "--baseline",
        type=Path,
        help=f"default: {BASELINE}, or reports/baseline-PROFILE.json for scores of another profile",
    )
    gate.add_argument("--update", action="store_true", help="make the scores the new baseline")
    gate.set_defaults(run=_gate)

    profile = commands.add_parser("profile", help="write params.yaml from profiles/NAME.yaml")
    profile.add_argument("name", metavar="NAME")
    profile.add_argument("--seeds", type=int, nargs="+", help="instead of the profile's own")
    profile.add_argument("--force", action="store_true", help="replace an edited params.yaml")
    profile.set_defaults(run=_profile)

    check = commands.add_parser("check", help="check the whole of params.yaml before it runs")
    check.add_argument("file", type=Path, nargs="?", default=PARAMS, help="default: params.yaml")
    check.set_defaults(run=_check)

    run = commands.add_parser("run", help="bring the study up to date, several stages at a time")
    run.add_argument("stages", nargs="*", metavar="STAGE", help="with all upstream; default: all")
    run.add_argument("--jobs", type=_count, default=1, help="stages at a time here; default: 1")
    run.add_argument("--threads", type=_count, help="of a stage; default: its share of the cores")
    where = run.add_mutually_exclusive_group()
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler's, tcp://HOST:8786")
    where.add_argument("--slurm", type=Path, metavar="FILE", help="YAML: queue, cores, jobs, ...")
    run.add_argument(
        "--resource",
        type=_resource,
        action="append",
        default=[],
        metavar="NAME=AMOUNT",
        help="what every stage takes of a worker: GPU=1",
    )
    run.set_defaults(run=_run)

    clean = commands.add_parser(
        "clean", help="list files that no row of params.yaml makes any more, or remove them"
    )
    clean.add_argument("--yes", action="store_true", help="remove them")
    clean.set_defaults(run=_clean)

    _add_data(commands)
    doctor = commands.add_parser("doctor", help="what this machine has, and what a study misses")
    doctor.set_defaults(run=_doctor)

    ui = commands.add_parser("ui", help="show the runs in MLflow, on this machine's browser")
    ui.add_argument("--port", type=_port, default=5000, help="5000 unless given")
    ui.add_argument("--no-browser", action="store_true", help="only print the link")
    ui.set_defaults(run=_ui)

    _add_audit(commands)
    export = commands.add_parser("export", help="write a prior as initial weights, half precision")
    export.add_argument("prior", type=Path, metavar="PRIOR", help="a prior.pt of the study")
    export.add_argument("file", type=Path, metavar="FILE", help="e.g. weights/faces32/gmi.pt")
    export.set_defaults(run=_export)

    take = commands.add_parser("import", help="make a published checkpoint a file that rows name")
    take.add_argument("file", type=Path, metavar="FILE", help="a .tar or .pth of others")
    take.add_argument("--as", dest="kind", required=True, metavar="KIND", help="what FILE is")
    take.add_argument("--out", type=Path, required=True, help="e.g. weights/official/vgg16.pt")
    take.add_argument(
        "--with",
        dest="beside",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="what completes it: a critic, triggers, other students",
    )
    take.add_argument("--data", metavar="ROW", help="score it on the test images of this row")
    take.set_defaults(run=_import)

    convert = commands.add_parser(
        "convert-stylegan", help="write an NVIDIA StyleGAN2 pickle as initial weights, safely"
    )
    convert.add_argument(
        "file", type=Path, metavar="FILE", help="e.g. ffhq.pkl; nothing in it runs"
    )
    convert.add_argument("--out", type=Path, required=True, help="e.g. weights/ffhq1024.pt")
    convert.set_defaults(run=_convert_stylegan)
    return parser


def _add_data(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    data = commands.add_parser("data", help="put a data set that you have where studies read it")
    data.add_argument("name", choices=["celeba", "lfw"])
    data.add_argument("--from", dest="source", type=Path, help="folder or archive")
    data.add_argument("--to", type=Path, help="default: data/external/NAME")
    data.add_argument("--copy", action="store_true", help="copy files instead of linking them")
    data.add_argument("--identities", type=Path, help="celeba: the list of people, if not there")
    data.set_defaults(run=_data)


def _data(options: argparse.Namespace) -> int:
    from trapmid.placing import celeba, lfw

    try:
        if options.name == "lfw":
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


def _doctor(_: argparse.Namespace) -> int:
    from trapmid.doctor import examination

    findings = examination.examine(Path())
    print(*(finding.line() for finding in findings), sep="\n")
    return 1 if any(finding.is_fatal for finding in findings) else 0


def _add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    audit = commands.add_parser(
        "audit", help="attack a classifier of your own, see docs/own-model.md"
    )
    audit.add_argument("model", type=Path, metavar="MODEL", help=".pt2, .py, or .py and .pt")
    audit.add_argument("--private", type=Path, required=True, help="images of the people it knows")
    audit.add_argument("--public", type=Path, required=True, help="images of anybody else")
    audit.add_argument("--min-images", type=_count, default=5, help="of a person; 5 unless given")
    audit.add_argument("--image-size", type=_count, help="in pixels, where MODEL takes any")
    audit.add_argument("--classes", type=Path, help="file: who the outputs are, a name a line")
    audit.add_argument("--folder", type=Path, help="default: audits/MODEL")
    audit.add_argument("--profile", default="audit", help="audit; or audit_drawn, for drawn faces")
    audit.add_argument("--verifier", choices=["dlib"], help="a second judge; needs .[faces]")
    audit.add_argument("--force", action="store_true", help="replace an edited study there")
    audit.add_argument("--write-only", action="store_true", help="do not run the study")
    audit.add_argument("--no-browser", action="store_true", help="only print where the page is")
    audit.set_defaults(run=_audit)


def _audit(options: argparse.Namespace) -> int:
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


def _gate(options: argparse.Namespace) -> int:
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


def _check(options: argparse.Namespace) -> int:
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


def _profile(options: argparse.Namespace) -> int:
    from trapmid.profiles import preflight
    from trapmid.profiles.compose import compose
    from trapmid.profiles.text import check_replaceable

    text = compose(options.name, options.seeds)
    if not options.force:
        check_replaceable(PARAMS)
    if found := preflight.problems(text):
        return _refuse(found, f"trapmid profile {options.name}")
    from trapmid.artifacts.checkpoints import write_atomically

    write_atomically(PARAMS, text.encode())
    print(f"{PARAMS} is now profile {options.name}; `dvc repro` runs it")
    return 0


def _run(options: argparse.Namespace) -> int:
    from trapmid.engine import session
    from trapmid.profiles import lockfile, preflight

    found = preflight.problems(PARAMS.read_text(encoding="utf-8"))
    broken = lockfile.problem(Path("dvc.lock"))
    if found or broken:
        return _refuse([*found, *([broken] if broken else [])], f"trapmid {options.command}")
    plan = session.Plan(
        targets=tuple(options.stages),
        jobs=options.jobs,
        threads=options.threads,
        scheduler=options.scheduler,
        slurm=options.slurm,
        resources=dict(options.resource),
    )
    return session.run(Path(), plan)


def _clean(options: argparse.Namespace) -> int:
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


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _resource(text: str) -> tuple[str, float]:
    name, _, amount = text.partition("=")
    try:
        found = name, float(amount)
    except ValueError:
        found = name, 0.0
    if not name or not found[1] > 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=AMOUNT, the amount above 0")
    return found


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return int(text)


def _ui(options: argparse.Namespace) -> int:
    from trapmid import ui

    ui.show(Path(), options.port, browse=not options.no_browser)
    return 0


def _export(options: argparse.Namespace) -> int:
    from trapmid.artifacts import priors
    from trapmid.artifacts.checkpoints import CheckpointError

    try:
        digest = priors.export(options.prior, options.file)
    except CheckpointError as error:
        raise ValueError(error) from None
    print(f"{digest}  {options.file}")
    return 0


def _import(options: argparse.Namespace) -> int:
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


def _convert_stylegan(options: argparse.Namespace) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
