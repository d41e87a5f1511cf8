"""dvc.yaml tells the truth: rows depend on the code they run, parameters and files exist.

`test_audit.py` watches which functions a stage calls: that is the proof of the digests.
"""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys

import graph
import pytest
from checkout import ROOT, Checkout
from ruamel.yaml import YAML

import shipped
from trapmid import wiring
from trapmid.config import params

SMALL = [name for name in (*shipped.NAMES, "toy") if name not in shipped.LARGE]
STUDIES = [*shipped.LARGE_ARE_SLOW, "toy"]
STAGES = sorted(path for path in (ROOT / "stages").glob("*.py") if not path.stem.startswith("_"))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Gives (stages, params) of a profile."""
    made = Checkout.make(tmp_path_factory.mktemp("graphs") / "copy")
    toy = (made.root / "params.yaml").read_text(encoding="utf-8")

    @functools.cache
    def of(profile):
        text = toy if profile == "toy" else shipped.text(profile)
        (made.root / "params.yaml").write_text(text, encoding="utf-8")
        return graph.load(made.root), params.read(made.root / "params.yaml")

    return of


def lines(problems: list[str]) -> str:
    return "\n".join(sorted(set(problems)))


# --- code ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("profile", STUDIES)
def test_a_row_depends_on_its_script_and_its_methods(graphs, profile):
    """And on no other: that would make its result stale for nothing."""
    stages, study = graphs(profile)
    for stage in stages.values():
        if stage.kind != "code":
            assert stage.units == graph.units(stage, study), stage.name


@pytest.mark.parametrize("profile", STUDIES)
def test_code_is_known_by_its_digests_alone(graphs, profile):
    stages, _ = graphs(profile)
    for stage in stages.values():
        code = {dep for dep in stage.deps if dep.startswith(("src", "stages"))}
        assert code == ({"src/trapmid", "stages"} if stage.kind == "code" else set())


def test_every_stage_is_looked_at(graphs):
    """The tables of graph.py know every stage, and every stage has rows in some small profile."""
    every = [stage for name in SMALL for stage in graphs(name)[0].values()]
    named = {stage.kind for stage in every}
    assert named == {"code", *graph.SECTIONS, "report", "track"}
    scripts = {stage.script for stage in every}
    assert scripts == {path.relative_to(ROOT).as_posix() for path in STAGES}


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_a_stage_is_thin(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    known = {
        name
        for kind in ("attacks", "defenses", "priors", "targets", "data")
        for name in wiring.names(kind)
    }
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare | ast.Match):
            words = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
            assert not words & known, f"line {node.lineno} asks which method it runs"


# --- files and parameters -----------------------------------------------------------------------


@pytest.mark.parametrize("profile", STUDIES)
def test_every_parameter_exists(graphs, profile):
    stages, study = graphs(profile)
    missing = []
    for stage in stages.values():
        for name in stage.params:
            try:
                params.section(study, name)
            except params.ParamsError as error:
                missing.append(f"{stage.name}: {error}")
    assert not missing, lines(missing)


@pytest.mark.parametrize("profile", STUDIES)
def test_every_dependency_exists_or_is_made(graphs, profile):
    stages, study = graphs(profile)
    outs = [out for stage in stages.values() for out in stage.outs]
    missing = [
        f"{stage.name}: {dep}"
        for stage in stages.values()
        if study["attack_runs"]
        or stage.name not in ("report", "track")  # `start` has nothing to report
        for dep in stage.deps
        if not (ROOT / dep).exists()
        and not dep.startswith(
            ("data/external/", "models/external/", "weights/official/")
        )  # one's own
        and not any(f"{dep}/".startswith(f"{o}/") or o.startswith(f"{dep}/") for o in outs)
    ]
    assert not missing, f"neither in Git nor made by a stage:\n{lines(missing)}"


NOT_READ = {  # keys of a row's paths that another stage of the row reads
    "validate_data": {"private", "public"},
    "invert": {"verifier", "identity", "second_evaluator"},
    "evaluate_evaluator": {"init"},
    "evaluate_target": {"init"},
    "evaluate": {"prior"},
}


@pytest.mark.parametrize("profile", STUDIES)
def test_a_row_depends_on_every_file_that_it_names(graphs, profile):
    """A toy study has no second evaluator, say, so what a stage opens there does not show it."""
    stages, study = graphs(profile)
    missing = []
    for stage in stages.values():
        row = study[graph.SECTIONS[stage.kind]][stage.row] if stage.row else {}
        for key in row.keys() - NOT_READ.get(stage.kind, set()):
            path = row[key]["path"] if key in ("private", "public") else row[key]
            # A classifier, or a prior, is a folder with one file that is read.
            named = isinstance(path, str) and "/" in path
            if named and not any(f"{dep}/".startswith(f"{path}/") for dep in stage.deps):
                missing.append(f"{stage.name}: {key}: {path}")
        if stage.kind in ("evaluate_evaluator", "evaluate"):
            assert study["evaluation"]["inception_weights"] in stage.deps, stage.name
    assert not missing, f"named by the row, but no dependency:\n{lines(missing)}"


@pytest.mark.parametrize("profile", STUDIES)
def test_training_waits_for_the_data_contract(graphs, profile):
    stages, study = graphs(profile)
    for stage in stages.values():
        if stage.kind.startswith(("train_", "pretrain")):
            row = study[graph.SECTIONS[stage.kind]][stage.row]
            assert f"reports/data/{row['data']}.json" in stage.deps


@pytest.mark.parametrize("profile", STUDIES)
def test_an_attacker_has_no_data(graphs, profile):
    stages, _ = graphs(profile)
    priors = ("train_public_prior", "train_guided_prior")
    for stage in stages.values():
        data = [dep for dep in stage.deps if dep.startswith("data/")]
        if stage.kind == "invert":
            assert not data
        if stage.kind in (*priors, "train_surrogate", "estimate_signatures"):
            assert data and all(dep.endswith("/public.pt") for dep in data)


SHOWN = "reports/summary.json"


def test_dvc_shows_one_file_of_numbers():
    """Every other result that Git keeps is written as a list, of which DVC shows nothing."""
    graph_file = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert graph_file["metrics"] == [SHOWN]
    for name, stage in graph_file["stages"].items():
        body = stage.get("do", stage)
        kept = [path for entry in body.get("metrics", []) for path in entry if path != SHOWN]
        script = (ROOT / body["cmd"].split()[2]).read_text(encoding="utf-8")
        written = script.count("write_record(") + script.count("write_scores(")
        assert written == len(kept), name
        for entry in body.get("metrics", []):
            assert all(options == {"cache": False} for options in entry.values())


@pytest.mark.slow
def test_a_list_is_in_the_run_cache_and_in_no_table(tmp_path):
    """What DVC does with `metrics:` that hold a list, and why they are no `outs`."""

    def call(*words):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    kinds = {"table": "metrics", "record": "metrics", "out": "outs"}
    (tmp_path / "write.py").write_text(
        "import json, sys\n"
        "content = {'number': len(open('params.yaml').read())}\n"
        "content = content if sys.argv[1] == 'table' else [content]\n"
        "json.dump(content, open(f'{sys.argv[1]}.json', 'w'))\n"
    )
    stages = {
        name: {
            "cmd": f"{sys.executable} write.py {name}",
            "deps": ["write.py"],
            "params": ["k"],
            kind: [{f"{name}.json": {"cache": False}}],
        }
        for name, kind in kinds.items()
    }
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    call("git", "init", "-q")
    call("dvc", "init", "-q")
    call("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "empty")
    for value in (1, 22):
        (tmp_path / "params.yaml").write_text(f"k: {value}\n")
        call("dvc", "repro")
    (tmp_path / "params.yaml").write_text("k: 1\n")
    assert re.findall("Running stage '(.*)'", call("dvc", "repro")) == ["out"]
    columns = call("dvc", "exp", "show", "--csv").splitlines()[0].split(",")
    assert [name for name in columns if "number" in name] == ["number"]
    shown = json.loads(call("dvc", "metrics", "diff", "--json"))
    assert "record.json" not in shown


# --- profiles -----------------------------------------------------------------------------------


def test_params_are_those_of_the_small_profile():
    text = shipped.text("small")
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("profile", STUDIES)
def test_every_row_is_a_stage(graphs, profile):
    """An empty section of rows is a stage without rows, and no error."""
    stages, study = graphs(profile)
    rows = {
        f"{kind}@{row}" for kind, section in graph.SECTIONS.items() for row in study[section] or {}
    }
    assert set(stages) == rows | {"code", "report", "track"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "sources", "data"),
    [("paper", ["celeba"], "celeba"), ("paper_highres", ["celeba_hd", "ffhq"], "celeba_hd")],
)
def test_the_paper_graph_resolves(tmp_path, graphs, profile, sources, data):
    """`dvc repro --dry` alone stops at the first file that is not there yet; --force goes on."""
    copy = Checkout.make(tmp_path / "copy", profile)
    for source in sources:
        folder = copy.root / "data" / "external" / source
        folder.mkdir(parents=True)
        (folder / "identity_CelebA.txt").touch()
    stages, _ = graphs(profile)
    assert set(copy.dvc("stage", "list", "--name-only").split()) == set(stages)
    copy.digest_code()
    assert set(copy.repro("--dry", "--force")) == set(stages)
    assert copy.downstream([f"prepare_data@{data}"]) == set(stages) - {"code"}
    assert copy.downstream(["code"]) == set(stages)
