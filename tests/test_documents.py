"""Every command that the documents show is followed by a test or a script, named here with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS += [ROOT / folder / "README.md" for folder in ("data", "models", "weights")]

CI = ".ci/run"
WORKFLOW = ".github/workflows/check.yml"
DVC = "tests/pipeline/test_dvc.py"
RECIPES = "tests/pipeline/test_recipes.py"
BENCH = "tests/benchmarks/test_bench.py::test_"
PLAN = "tests/planning/test_plan.py::test_the_command_"
SHARING = "tests/pipeline/test_sharing.py"
DAY = f"{RECIPES}::test_a_day_of_work"
PROFILES = f"{DVC}::test_every_row_is_a_stage"  # of every profile; their studies take hours
SIDE_BY_SIDE = "tests/pipeline/test_side_by_side.py::test_scores_and_books_are_those_of_dvc"
CLONE = f"{SHARING}::test_a_clone_pulls_and_runs_nothing"
DAMAGED = f"{SHARING}::test_a_damaged_object_of_the_cache_is_found_and_made_again"
CACHE = f"{SHARING}::test_clones_of_one_machine_share_a_cache"

RAW = f"{SHARING}::test_raw_data_and_given_weights_go_to_a_clone"
PLACING = "tests/placing/test_placing.py::test_"
TAKEN = f"{PLACING}it_is_read_where_studies_read_it"

ENGINE = "tests/engine/test_session.py"
EXAMPLES = "tests/examples/test_examples.py::test_"

FACES = "--private ~/faces/staff --public ~/faces/others"
AUDIT = "tests/audit/test_auditing.py::test_"
UI = "tests/test_ui.py::test_the_server_shows_pictures_of_a_moved_project_and_ends_whole"
BACKBONE = "tests/foreign/test_importing.py::test_a_backbone_gives_the_trunk"
TABLE = "tests/profiles/test_paper_coverage.py::test_the_command_writes_a_study_that_can_run"
PAPERS = "tests/profiles/test_paper_profiles.py"
WITHOUT_VALIDATION = (
    "dvc exp run -S data.celeba.val_fraction=0 -S classifier_training.target.select=test "
    "-S classifier_training.evaluator.select=test -S classifier_training.adam.select=test"
)

ADDRESS = "https://git.example.org/trapmid"
FOLLOWED = {
    "make repro": WORKFLOW,
    "make install": "nothing: the first step of make repro, which is followed",
    "make test": CI,
    "make gate": CI,
    "make check": WORKFLOW,
    "make repro JOBS=1": "tests/pipeline/test_hostile.py::test_make_repro_checks_before",
    "make repro JOBS=2": SIDE_BY_SIDE,
    "source .venv/bin/activate": WORKFLOW,  # `. .venv/bin/activate` there
    "dvc repro": SIDE_BY_SIDE,
    "dvc status": f"{RECIPES}::test_status_lists_exactly_the_new_rows",
    "dvc dag": f"{DVC}::test_the_paper_graph_resolves",
    "trapmid run --jobs 2": SIDE_BY_SIDE,
    "trapmid run --jobs auto": SIDE_BY_SIDE,  # `studied` is made by it
    "trapmid run STAGE ...": f"{ENGINE}::test_one_stage_and_what_it_needs",
    "dvc add": f"{ENGINE}::test_what_a_user_brought_is_recorded_and_never_removed",
    "trapmid run": f"{ENGINE}::test_lock_cache_and_files_are_those_of_dvc",
    "trapmid run --scheduler tcp://HOST:8786": f"{ENGINE}::test_a_lost_worker_is_replaced_once",
    "trapmid run --scheduler tcp://HOST:8786 --resource GPU=1": (
        f"{ENGINE}::test_a_resource_that_no_worker_has"
    ),
    "dvc metrics show": "nothing: it only reads",
    "trapmid run --slurm slurm.yaml": f"{ENGINE}::test_slurm_gets_its_workers",
    "dvc exp run -S trapdoor.beta=0.1": DAY,
    "OMP_NUM_THREADS=1 dvc exp run -S trapdoor.beta=0.1": DAY,
    "make exp": DAY,
    "make exp KEEP='trapdoor|aa1'": DAY,
    "dvc exp show": DAY,
    "dvc exp": "nothing: a family of commands",
    "dvc plots": "nothing: a family of commands",
    "dvc metrics diff": DAY,
    "dvc plots show": DAY,
    "trapmid gate --update": "tests/test_cli.py::test_update_copies_the_scores",
    "trapmid check": "tests/profiles/test_preflight.py::test_the_command",
    "trapmid profile small": f"{RECIPES}::test_a_method_is_a_file_a_block_and_a_row",
    "trapmid profile small --seeds 0 1 2": f"{RECIPES}::test_seeds_are_rows_and_go_again",
    "trapmid profile": PROFILES,
    "trapmid profile NAME": PROFILES,
    "trapmid profile NAME --seeds 0 1 2": f"{RECIPES}::test_seeds_are_rows_and_go_again",
    "trapmid profile paper": f"{DVC}::test_the_paper_graph_resolves",
    "trapmid profile paper_highres --seeds 0": f"{DVC}::test_the_paper_graph_resolves",
    "trapmid profile PROFILE --table N": TABLE,
    "trapmid profile paper_ablations --table 7 --seeds 0": TABLE,
    "trapmid plan paper_ablations --table 7 --seeds 0 --card "
    "benchmarks/results/2026-11-27-nvidia-h100-80gb-hbm3.json": (
        "tests/profiles/test_paper_coverage.py::test_a_plan_counts_the_rows_of_a_table"
    ),
    "trapmid profile attacks": PROFILES,
    "trapmid profile celeba_small": PROFILES,
    "trapmid profile celeba_taught": PROFILES,
    "trapmid profile attacks_sweep": PROFILES,
    "trapmid profile wide --seeds 0 1 2": PROFILES,
    "trapmid profile rivals": PROFILES,
    "trapmid profile adaptive": PROFILES,
    "trapmid profile tuned": PROFILES,
    "trapmid profile adaptive --seeds 0 1 2": PROFILES,
    "trapmid profile wide_variants": PROFILES,
    "trapmid profile cheap_trap --seeds 0 1 2": PROFILES,
    "dvc repro code": "tests/pipeline/test_exactness.py::test_a_change_reaches_its_rows_alone",
    "dvc remote add --default store /mnt/lab/trapmid": CLONE,
    "dvc push": CLONE,
    "git add .dvc/config": CLONE,
    'git commit --message "The results are in /mnt/lab/trapmid"': CLONE,
    "dvc pull": CLONE,
    "dvc pull models/targets/trapmid-0/model.pt": CLONE,
    "dvc pull train_target@trapmid-0": CLONE,
    f"dvc get {ADDRESS} models/targets/trapmid-0/model.pt --out trapmid.pt": CLONE,
    'git tag --annotate trapmid@v1.0.0 --message "Trap-MID on drawn faces"': CLONE,
    "git push origin trapmid@v1.0.0": CLONE,
    f"dvc artifacts get {ADDRESS} trapmid --out trapmid.pt": CLONE,
    "dvc cache dir --local /mnt/lab/cache": CACHE,
    "dvc config --local cache.type hardlink,copy": CACHE,
    "dvc checkout": CACHE,
    "dvc checkout --relink": CACHE,
    "trapmid data celeba --from ~/Downloads/img_align_celeba.zip": TAKEN,
    "trapmid data celeba --from PATH": TAKEN,
    "trapmid data lfw": f"{PLACING}lfw_is_looked_for_where_scikit_learn_keeps_it",
    "trapmid data --copy": TAKEN,
    "dvc add data/external/celeba": RAW,
    "dvc add models/external/vgg16": RAW,
    "git add data/external/celeba.dvc": RAW,
    'git commit --message "CelebA is on the remote"': RAW,
    "dvc pull data/external/celeba": RAW,
    "trapmid data": "nothing: a family of commands",
    "trapmid doctor": "tests/doctor/test_doctor.py::test_a_clone_misses_nothing",
    "make ui": UI,
    "trapmid ui": UI,
    WITHOUT_VALIDATION: f"{PAPERS}::test_the_documented_way_to_do_without_validation_images",
    "make bench": f"{BENCH}quick_times_every_path",
    "trapmid export PRIOR FILE": (
        "tests/artifacts/test_prior_files.py::test_exported_weights_start_every_class_alike"
    ),
    "trapmid bench": f"{BENCH}quick_times_every_path",
    "trapmid bench --beside": "nothing: minutes; with --quick it is followed",
    "trapmid plan PROFILE": f"{PLAN}on_this_machine",
    "trapmid plan PROFILE --jobs auto": f"{PLAN}for_several_stages_at_a_time",
    "trapmid plan paper --card benchmarks/results/2026-11-27-nvidia-h100-80gb-hbm3.json": (
        f"{PLAN}with_a_card"
    ),
    "make docs": "tests/test_reference.py::test_make_docs_runs_this_script",
    **{
        f"python examples/{name}.py": EXAMPLES + name
        for name in (
            *("attack_your_own_model", "write_a_defence", "write_an_attack"),
            "scores_to_pandas",
        )
    },
    "make weights": "nothing: takes an hour; tests/artifacts/test_prior_files.py exports and loads",
    "dvc exp run -S attack_runs.plus-trapmid-0.set.adaptive.auxiliary_weight=50": (
        "tests/profiles/test_text.py::test_an_experiment_keeps_every_comment"
    ),
    "make judges": "tests/judges/test_make_judges.py::test_both_judges_are_made_from_drawn_people",
    "trapmid convert-stylegan ffhq.pkl --out weights/official/ffhq1024.pt": (
        "tests/artifacts/test_nvidia.py::test_the_command"
    ),
    f"trapmid audit model.pt2 {FACES}": f"{AUDIT}a_whole_audit",
    f"trapmid audit model.pt2 {FACES} --classes classes.txt": (
        f"{AUDIT}outputs_are_put_in_the_order_of_the_labels"
    ),
    f"trapmid audit model.pt2 {FACES} --folder ~/audits/staff --no-browser": (
        f"{AUDIT}a_whole_audit"
    ),
    "cd ~/audits/staff": f"{AUDIT}the_gate_judges_an_audit_in_its_folder",
    "trapmid gate": f"{AUDIT}the_gate_judges_an_audit_in_its_folder",
    "trapmid audit": f"{AUDIT}a_whole_audit",
    "trapmid plan study --jobs auto": (
        "nothing: two minutes of measuring; other profiles are planned in tests/planning"
    ),
    "dvc repro train_target@none-0": "nothing: minutes of training; the whole study is followed",
    "python examples/export_a_target.py models/targets/none-0/model.pt": (
        f"{EXAMPLES}export_a_target"
    ),
    "trapmid audit none-0.pt2 --private data/raw/synthetic/celeba "
    "--public data/raw/synthetic/celeba --profile audit_drawn": (
        "nothing: minutes of training; the same with audit_toy is followed"
    ),
    "trapmid clean": "tests/pipeline/test_leftovers.py::"
    "test_the_outputs_of_rows_that_are_gone_and_nothing_else",
    "dvc remote add --local": "nothing: the same with --default is followed",
    "pip install dvc-ssh": "nothing: a download",
    "pip install --editable '.[faces]'": "nothing: a download",
    "pip install --editable '.[scale]'": "nothing: a download",
    "dvc remote add --default store ssh://me@lab.example.org/srv/trapmid": "nothing: a server",
    "dvc remote modify --local store keyfile ~/.ssh/id_ed25519": "nothing: a server",
    "dvc repro --force": DAMAGED,
    "cd .dvc/cache/files/md5": DAMAGED,
    r"find . -type f | sed -E 's|^./(..)/([0-9a-f]{30})(.dir)?$|\1\2 *&|' | "
    "md5sum --check --quiet": DAMAGED,
    "dvc exp push origin fuzzy-cat": CLONE,
    "dvc exp pull origin fuzzy-cat": CLONE,
    "trapmid import": "nothing: a family of commands",
    "trapmid import --as ms1m-ir50": BACKBONE,
    "trapmid import --as ms1m-ir152": BACKBONE,
    "trapmid plan": "nothing: a family of commands",
    **dict.fromkeys(
        (
            "trapmid import VGG16.tar --as vgg16 --with trigger.tar --out "
            "weights/official/trapmid.pt --data celeba",
            "trapmid import G.tar --as plgmi-g --with D.tar --out weights/official/plgmi.pt",
            "trapmid import FaceNet_95.88.tar --as facenet112 --out weights/official/facenet112.pt",
            "trapmid import 20180402-114759-vggface2.pt --as facenet-vggface2 --out "
            "weights/official/facenet.pt",
        ),
        "nothing: needs files of others; tests/foreign/test_importing.py makes such",
    ),
    "ln -s /disk/celeba data/external/celeba": (
        f"{RECIPES}::test_own_faces_in_the_layout_that_the_documents_show"
    ),
    "benchmarks/on_gpu.sh --prepare --faces data/external/celeba": (
        "tests/benchmarks/test_gpu_faces.py::test_faces_of_a_folder_are_packed"
    ),
    "benchmarks/on_gpu.sh --parts faces --seconds 200": (
        "tests/benchmarks/test_on_gpu.py::test_the_second_call_makes_what_is_missing_and_no_more"
    ),
    "benchmarks/on_gpu.sh --judge FOLDER --out FOLDER": (
        "tests/benchmarks/test_gpu_judge.py::test_the_right_people_are_accepted_and_others_refused"
    ),
}
"""Command -> the test or script that runs it, or why nothing does."""


def shown() -> dict[str, str]:
    """Every command of the documents, with a place of it: of blocks marked `sh`, and in a line."""
    found = {}
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
                 for line in block.splitlines()]  # fmt: skip
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        lines += re.findall(r"`((?:make|dvc|trapmid|ln|pip)\s[^`]+)`", prose)
        for line in lines:
            for command in re.sub(r"\s+#.*|^#.*", "", line).split("&&"):
                if words := " ".join(command.split()):
                    found.setdefault(words, document.relative_to(ROOT).as_posix())
    return found


def test_every_command_is_followed_somewhere():
    found = shown()
    new = {command: place for command, place in found.items() if command not in FOLLOWED}
    assert not new, f"name the test that follows it in {Path(__file__).name}: {new}"
    assert not set(FOLLOWED) - set(found), "no document shows these"


@pytest.mark.parametrize("place", sorted(set(FOLLOWED.values())))
def test_what_follows_is_there(place):
    if place.startswith("nothing: "):
        return
    file, _, function = place.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    if function:
        assert f"\ndef {function}(" in text
        return
    for command in (command for command, where in FOLLOWED.items() if where == place):
        words = command.replace("source ", ". ")
        assert re.search(re.escape(words), text), f"{file} does not run `{words}`"
