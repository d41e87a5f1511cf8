"""What README.md and docs/architecture.md tell one to do, done in a copy as they say it."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

import graph
import pytest
from checkout import ROOT, Checkout
from ruamel.yaml import YAML

from trapmid import cli

README = (ROOT / "README.md").read_text(encoding="utf-8")
TARGETS = ("none", "none_aug", "trapmid")
READERS = {"report", "track"}


def of(kinds: str, *rows: str) -> set[str]:
    """The stages of these kinds for these rows, at seed 0."""
    return {f"{kind}@{row}-0" for kind in kinds.split() for row in rows}


def add(study: Checkout, profile: str, section: str, line: str) -> None:
    """Writes a line into a section of a profile, as its first."""
    file = study.root / "profiles" / f"{profile}.yaml"
    text, count = re.subn(
        rf"^{section}:( \{{\}})?(.*)\n",
        lambda found: f"{section}:{found[2]}\n  {line}\n",
        file.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 1
    file.write_text(text, encoding="utf-8")


def readme_row() -> str:
    """The row of the README's third step; its line may be broken anywhere."""
    found = re.search(r"`(mine-\*: \{[^`]*\})`", README)
    assert found
    return " ".join(found[1].split())


# --- in a clean checkout --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cloned(tmp_path_factory) -> Checkout:
    """A copy as a clone has it: the repository's params.yaml, nothing computed. Not to change."""
    made = Checkout.make(tmp_path_factory.mktemp("cloned") / "clean", "small")
    shutil.copy2(ROOT / "params.yaml", made.root)
    return made


@pytest.fixture(scope="module")
def before(cloned) -> dict[str, graph.Stage]:
    """Its graph, of which every recipe changes a part."""
    return graph.load(cloned.root)


@pytest.fixture
def clean(cloned, tmp_path, monkeypatch) -> Checkout:
    """A copy of it, in which we are."""
    made = cloned.copy(tmp_path / "clean")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def known(clean, monkeypatch) -> Iterator[Callable[[str], None]]:
    """Makes the method `mine` of the copy's folder known here, as it is to the copy's command."""
    found: list[ModuleType] = []

    def make(folder: str) -> None:
        package = importlib.import_module(f"trapmid.{folder}")
        theirs = str(clean.root / "src" / "trapmid" / folder)
        monkeypatch.setattr(package, "__path__", [*package.__path__, theirs])
        found.append(package)

    yield make
    for package in found:
        sys.modules.pop(f"{package.__name__}.mine", None)
        vars(package).pop("mine", None)


@dataclass(frozen=True)
class New:
    """A method as the table of docs/architecture.md adds it: a file, a block, a row."""

    lines: Mapping[str, str]  # section of profiles/small.yaml -> what is written there
    stages: set[str]  # that this brings
    folder: str = ""  # of src/trapmid; empty: no file
    like: str = ""  # the module in it that is copied to mine.py
    users: str = ""  # the kinds of stages that depend on it


def block(*where: str) -> str:
    """A block of the small profile under the name `mine`, in one line."""
    found = YAML(typ="safe").load((ROOT / "profiles" / "small.yaml").read_text(encoding="utf-8"))
    for key in where:
        found = found[key]
    return f"mine: {json.dumps(found)}"


MINE = {"attacks": block("attacks", "gmi"), "attack_runs": readme_row()}
ATTACKS = of("invert evaluate", *(f"mine-{target}" for target in TARGETS))
NEW_TARGET = of("train_target evaluate_target", "mine") | of("train_guided_prior", "plgmi-mine")
NEW_TARGET |= of("invert evaluate", "gmi-mine", "plgmi-mine")  # by the rows with a star
NEW = {
    "attack": New(MINE, ATTACKS, "attacks", "gmi", "invert evaluate"),
    "attack on one target": New(
        MINE | {"attack_runs": readme_row().replace("}", "of: [trapmid]}")},
        of("invert evaluate", "mine-trapmid"),
        "attacks",
        "gmi",
        "invert evaluate",
    ),
    "variant of an attack": New({"attack_runs": "mine-*: {method: gmi, set: {steps: 7}}"}, ATTACKS),
    "variant of a defence": New(
        {"targets": "mine: {method: negls, set: {smoothing: {factor: -0.1}}}"}, NEW_TARGET
    ),
    "surrogate": New(
        {
            "surrogate_training": block("surrogate_training", "distil"),
            "surrogates": "mine-*: {arch: small_students}",
        },
        of("train_surrogate", *(f"mine-{target}" for target in TARGETS)),
        "surrogates",
        "distil",
        "train_surrogate",
    ),
    "defence": New(
        {"targets": "mine: {}", "mine": block("negls")},
        NEW_TARGET,
        "defenses",
        "negls",
        "train_target",
    ),
    "prior": New(
        {
            "prior_training": block("prior_training", "gmi"),
            "public_priors": "mine: {init: weights/random, seed: 0}",
        },
        {"train_public_prior@mine"},
        "priors",
        "gmi",
        "train_public_prior",
    ),
    "network": New(
        {"targets": "mine: {arch: mine, defense: none}"},
        NEW_TARGET,
        "targets",
        "small_vgg",
        "train_target",
    ),
}


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(new, id=name, marks=pytest.mark.slow if new.folder else ())
        for name, new in NEW.items()
    ],
)
def test_a_method_is_a_file_a_block_and_a_row(clean, known, before, new, capsys):
    """Then `trapmid profile small`: DVC has its rows and no other; they depend on the file."""
    source = clean.root / "src" / "trapmid" / new.folder
    if new.folder:
        shutil.copy2(source / f"{new.like}.py", source / "mine.py")
    for section, line in new.lines.items():
        if section == "mine":  # a block of its own
            clean.append("profiles/small.yaml", f"\n{line}\n")
        else:
            add(clean, "small", section, line)
    if new == NEW["attack"]:  # the copy's own command
        code, printed = clean.trapmid("profile", "small")
    else:
        if new.folder:
            known(new.folder)
        code, printed = cli.main(["profile", "small"]), capsys.readouterr().err
    assert code == 0, printed
    after = graph.load(clean.root)
    assert set(after) - set(before) == new.stages
    assert all(after[name] == stage for name, stage in before.items())
    unit = f"{new.folder}/mine"
    assert {s.kind for s in after.values() if unit in s.units} == set(new.users.split())


@pytest.mark.slow
def test_seeds_are_rows_and_go_again(clean, before, capsys):
    assert cli.main(["profile", "small", "--seeds", "0", "1", "2"]) == 0
    three = graph.load(clean.root)
    once = {name for name in before if not name.endswith("-0")}
    assert set(three) == once | {f"{n[:-1]}{seed}" for n in set(before) - once for seed in range(3)}
    clean.edit("params.yaml", "  beta: 0.5\n  step_size", "  beta: 0.1\n  step_size")
    assert cli.main(["profile", "small"]) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.main(["profile", "small", "--force"]) == 0
    assert clean.read("params.yaml") == (ROOT / "params.yaml").read_bytes()


@pytest.mark.slow
def test_an_attack_without_a_row_of_tests_fails(clean):
    """The fourth step: tests/attacks/test_attacks.py says so, and holds the new attack to it."""
    source = clean.root / "src" / "trapmid" / "attacks"
    shutil.copy2(source / "gmi.py", source / "mine.py")
    shutil.copy2(ROOT / "pyproject.toml", clean.root)
    shutil.copytree(ROOT / "tests" / "attacks", clean.root / "tests" / "attacks")
    shutil.copy2(ROOT / "tests" / "toy.py", clean.root / "tests")
    words = (sys.executable, "-m", "pytest", "-q", "tests/attacks/test_attacks.py")
    process = clean.start(*words, "-k", "every_attack_has_a_row")
    printed, _ = process.communicate()
    assert process.returncode == 1 and "'mine'" in printed, printed
    table = "ROWS: dict[str, dict[str, Any]] = {\n"
    clean.edit("tests/attacks/test_attacks.py", table, f'{table}    "mine": GMI,\n')
    process = clean.start(*words, "-k", "every_attack_has_a_row or per_label or order[mine]")
    printed, _ = process.communicate()
    assert process.returncode == 0, printed


# --- in a finished study --------------------------------------------------------------------------


@pytest.mark.slow
def test_status_lists_exactly_the_new_rows(study):
    source = study.root / "src" / "trapmid" / "attacks"
    shutil.copy2(source / "gmi.py", source / "mine.py")
    add(study, "toy", "attacks", block("attacks", "gmi"))
    add(study, "toy", "attack_runs", readme_row())
    code, printed = study.trapmid("profile", "toy")
    assert code == 0, printed
    study.digest_code()
    assert study.changed() == ATTACKS | READERS


@pytest.mark.slow
def test_a_day_of_work(study):
    """The README's block of commands, on a study of one target and one attack."""
    kept = ("targets.trapmid", "attack_runs.gmi-trapmid")
    profile = study.without(lambda row: row not in kept)
    code, printed = study.trapmid("profile", profile)
    assert code == 0, printed
    assert study.repro() == ["report", "track"]
    study.commit("one target, one attack")

    printed = study.dvc("exp", "run", "-S", "trapdoor.beta=0.1")
    ran = re.findall(r"^Running stage '([^']+)'", printed, re.MULTILINE)
    assert set(ran) == of("train_target evaluate_target", "trapmid") | READERS | of(
        "invert evaluate", "gmi-trapmid"
    )
    code, printed = study.trapmid("profile", profile)
    assert code == 2 and "--force" in printed
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    kept = re.search(r"^KEEP \?= (.*)$", makefile, re.MULTILINE)
    assert kept
    pattern = "Experiment|" + kept[1].replace("$$", "$")
    filters = ("--only-changed", "--keep", pattern, "--drop", "Created|.*/")
    table = study.dvc("exp", "show", "--csv", *filters).splitlines()
    head = table[0].split(",")
    assert {"Experiment", "trapdoor.beta"} < set(head) and len(head) < 12
    assert any(name.startswith("aa1.") for name in head)
    assert any(name.startswith("accuracy.") for name in head)
    assert "trapmid" in study.dvc("metrics", "diff")
    assert "index.html" in study.dvc("plots", "show")


@pytest.mark.slow
def test_own_faces_in_the_layout_that_the_documents_show(study, tmp_path):
    """The folder is a link to another disk; a picture there that changes is seen."""
    disk = tmp_path / "disk"
    shutil.move(study.root / "data" / "raw" / "toy" / "celeba", disk)
    (study.root / "data" / "external").mkdir()
    (study.root / "data" / "external" / "celeba").symlink_to(disk)
    layouts = (ROOT / "docs/celeba.md").read_text(encoding="utf-8")
    found = re.search(r"^\| `celeba` \| `([^`]+)`, `([^`]+)`", layouts, re.MULTILINE)
    assert found
    shown = [f"data/external/celeba/{path}" for path in found.groups()]
    assert all((study.root / path).is_file() for path in shown)
    before = study.read("data/prepared/toy/private.pt")
    file = study.root / "profiles" / "toy.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("data/raw/toy/celeba", "data/external/celeba"), encoding="utf-8")
    study.choose("toy")
    assert study.repro("validate_data@toy") == ["prepare_data@toy", "validate_data@toy"]
    assert study.read("data/prepared/toy/private.pt") == before
    shutil.copy2(study.root / shown[0], disk / "img_align_celeba" / "000002.jpg")
    assert "prepare_data@toy" in study.changed()


def test_git_keeps_what_says_where_things_go(cloned, before):
    """data/ and models/ exist in a clone; what stages write there is ignored."""
    kept = ["data/README.md", "models/README.md"]
    outs = [out for stage in before.values() for out in stage.outs]
    made = [out for out in outs if out.startswith(("data/", "models/"))]
    found = subprocess.run(
        ["git", "check-ignore", "--no-index", *kept, *made, "data/external/celeba"],
        cwd=cloned.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout.splitlines() == [*made, "data/external/celeba"]
