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

from trapmid.commands import PARAMS, bringing, judging, looking, studying, told
from trapmid.commands.judging import BASELINE, SCORES

if TYPE_CHECKING:
    _Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


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
        print(f"trapmid {options.command}: error: {told(error)}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trapmid",
        description="Around `dvc repro`: choose a profile, judge the scores. Run it at the root.",
    )
    parser.add_argument("--version", action="version", version=f"trapmid {version('trapmid')}")
    verbs = parser.add_subparsers(dest="command", metavar="COMMAND")
    for add in (_add_gate, _add_study, _add_run, _add_looking, _add_data, _add_audit, _add_weights):
        add(verbs)
    return parser


def _add_gate(verbs: _Verbs) -> None:
    gate = verbs.add_parser("gate", help="compare the scores with the committed baseline")
    gate.add_argument("--scores", type=Path, help=f"default: {SCORES}, of the study of {PARAMS}")
    gate.add_argument(
        "--baseline",
        type=Path,
        help=f"default: {BASELINE}, or reports/baseline-PROFILE.json for scores of another profile",
    )
    gate.add_argument("--update", action="store_true", help="make the scores the new baseline")
    gate.set_defaults(run=judging.gate)


_TABLE = "only what this table of the paper needs: docs/reproduce.md"


def _add_study(verbs: _Verbs) -> None:
    profile = verbs.add_parser("profile", help="write params.yaml from profiles/NAME.yaml")
    profile.add_argument("name", metavar="NAME", help="a file of profiles/")
    profile.add_argument("--seeds", type=int, nargs="+", help="instead of the profile's own")
    profile.add_argument("--table", type=int, metavar="N", help=_TABLE)
    profile.add_argument("--force", action="store_true", help="replace an edited params.yaml")
    profile.set_defaults(run=studying.profile)

    plan = verbs.add_parser("plan", help="what a profile will take: time and memory of each stage")
    plan.add_argument("name", metavar="PROFILE", help="a file of profiles/")
    plan.add_argument("--seeds", type=int, nargs="+", help="instead of the profile's own")
    plan.add_argument("--table", type=int, metavar="N", help=_TABLE)
    how = plan.add_mutually_exclusive_group()
    how.add_argument("--card", type=Path, help="measured on a GPU: a file of benchmarks/results")
    how.add_argument(
        "--jobs", type=_jobs,
        help="stages at a time, or auto, as for `trapmid run`; default: one after the other",
    )  # fmt: skip
    plan.add_argument(
        "--beside", action="store_true", help="other work goes on: count processor time"
    )
    plan.set_defaults(run=studying.plan)

    check = verbs.add_parser("check", help="check the whole of params.yaml before it runs")
    check.add_argument("file", type=Path, nargs="?", default=PARAMS, help="default: params.yaml")
    check.set_defaults(run=studying.check)

    clean = verbs.add_parser(
        "clean", help="list files that no row of params.yaml makes any more, or remove them"
    )
    clean.add_argument("--yes", action="store_true", help="remove them")
    clean.set_defaults(run=studying.clean)


def _add_run(verbs: _Verbs) -> None:
    run = verbs.add_parser("run", help="bring the study up to date, several stages at a time")
    run.add_argument("stages", nargs="*", metavar="STAGE", help="with all it needs; default: all")
    run.add_argument(
        "--jobs", type=_jobs, default=1,
        help="stages at a time here, or auto: one for each core, of one thread, four at most, "
        "and one alone where there is a GPU; default: 1",
    )  # fmt: skip
    run.add_argument("--threads", type=_count, help="of each stage; default: its share of cores")
    run.add_argument("--cold", action="store_true", help="every stage loads torch for itself")
    where = run.add_mutually_exclusive_group()
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler's, tcp://HOST:8786")
    where.add_argument("--slurm", type=Path, metavar="FILE", help="a cluster: docs/scale.md")
    run.add_argument(
        "--resource",
        type=_resource,
        action="append",
        default=[],
        metavar="NAME=AMOUNT",
        help="what every stage takes of a worker: GPU=1",
    )
    run.set_defaults(run=studying.run)


def _add_looking(verbs: _Verbs) -> None:
    doctor = verbs.add_parser("doctor", help="what this machine has, and what a study misses")
    doctor.set_defaults(run=looking.doctor)

    bench = verbs.add_parser("bench", help="time every hot path beside the published procedure")
    bench.add_argument("--quick", action="store_true", help="toy sizes: does everything work?")
    bench.add_argument("--only", default="*", metavar="PATTERN", help="paths of such names")
    bench.add_argument("--out", type=Path, help="default: benchmarks/results")
    bench.add_argument("--seconds", type=float, default=540.0, help="in all; 540 unless given")
    bench.add_argument(
        "--beside", action="store_true", help="other work goes on: one thread, processor time"
    )
    bench.set_defaults(run=looking.bench)

    ui = verbs.add_parser("ui", help="show the runs in MLflow, on this machine's browser")
    ui.add_argument("--port", type=_port, default=5000, help="5000 unless given")
    ui.add_argument("--no-browser", action="store_true", help="only print the link")
    ui.set_defaults(run=looking.ui)


def _add_weights(verbs: _Verbs) -> None:
    export = verbs.add_parser("export", help="write a prior as initial weights, half precision")
    export.add_argument("prior", type=Path, metavar="PRIOR", help="a prior.pt of the study")
    export.add_argument("file", type=Path, metavar="FILE", help="e.g. weights/faces32/gmi.pt")
    export.set_defaults(run=bringing.export)

    take = verbs.add_parser("import", help="make a published checkpoint a file that rows name")
    take.add_argument("file", type=Path, metavar="FILE", help="a .tar or .pth of others")
    take.add_argument(
        "--as", dest="kind", required=True, metavar="KIND", help="what it is: docs/reproduce.md"
    )
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
    take.set_defaults(run=bringing.take)

    convert = verbs.add_parser(
        "convert-stylegan", help="write an NVIDIA StyleGAN2 pickle as initial weights, safely"
    )
    convert.add_argument(
        "file", type=Path, metavar="FILE", help="e.g. ffhq.pkl; nothing in it runs"
    )
    convert.add_argument(
        "--out", type=Path, required=True, help="e.g. weights/official/ffhq1024.pt"
    )
    convert.set_defaults(run=bringing.convert_stylegan)


def _add_data(verbs: _Verbs) -> None:
    data = verbs.add_parser("data", help="put a data set that you have where studies read it")
    data.add_argument("name", choices=["celeba", "lfw"])
    data.add_argument("--from", dest="source", type=Path, help="folder or archive")
    data.add_argument("--to", type=Path, help="default: data/external/NAME")
    data.add_argument("--copy", action="store_true", help="copy files instead of linking them")
    data.add_argument("--identities", type=Path, help="celeba: the list of people, if not there")
    data.set_defaults(run=bringing.data)


def _add_audit(verbs: _Verbs) -> None:
    audit = verbs.add_parser("audit", help="attack a classifier of your own, see docs/own-model.md")
    audit.add_argument(
        "model", type=Path, metavar="MODEL", help=".pt2, .py, or a folder of a .py and a .pt"
    )
    audit.add_argument("--private", type=Path, required=True, help="images of the people it knows")
    audit.add_argument("--public", type=Path, required=True, help="images of anybody else")
    audit.add_argument(
        "--min-images", type=_count, default=5, help="of a person, at least; default: 5"
    )
    audit.add_argument("--most-images", type=_count, help="of a person, drawn; default: all")
    audit.add_argument("--image-size", type=_count, help="in pixels, where MODEL takes any")
    audit.add_argument("--classes", type=Path, help="file: who the outputs are, a name a line")
    audit.add_argument("--folder", type=Path, help="default: audits/MODEL")
    audit.add_argument("--profile", default="audit", help="audit; or audit_drawn, for drawn faces")
    audit.add_argument("--verifier", choices=["dlib"], help="judge of photographs; extra `faces`")
    audit.add_argument("--force", action="store_true", help="replace an edited study there")
    audit.add_argument("--write-only", action="store_true", help="do not run the study")
    audit.add_argument("--no-browser", action="store_true", help="only print where the page is")
    audit.set_defaults(run=studying.audit)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _jobs(text: str) -> int | str:
    return text if text == "auto" else _count(text)


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


if __name__ == "__main__":
    sys.exit(main())
