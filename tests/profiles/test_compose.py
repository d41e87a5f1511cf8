"""Profiles: rows repeated per seed, overlays, and an edited params.yaml that is not overwritten."""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from trapmid.config import study as rows_of
from trapmid.profiles import compose as profiles
from trapmid.profiles.compose import ProfileError

OWN = Path(__file__).parents[2] / "profiles"
PAPER_PROFILES = sorted(path.stem for path in OWN.glob("paper*.yaml"))

SMALL = """\
# A header that a composed file does not repeat.

seeds: [0]

defaults: # of rows
  targets: {data: faces, arch: tiny}
  signatures: {top_n: 3}
  attack_runs: {prior: models/priors/public/gmi}

raw: {}
data: # Data sets
  faces:
    private: {reader: celeba, path: data/raw/x}
    identities: 20  # how many
evaluators:
  judge: {data: faces, defense: none, seed: 7}
pretrained: {}

# who is attacked
targets: # Targets
  none: {}
  # the defence
  trapmid:
    block: trapdoor
    init: models/targets/none/model.pt

classifier_training:
  small:
    lr: 1e-3  # tuned
    milestones: [10, 20]
none: {} # No defence
trapdoor: # Trap-MID
  alpha: 0.1
  beta: 0.3
public_priors:
  gmi: {seed: 0}
surrogates:
  student-none: {target: none, method: distil}
leaks:
  trapmid: {target: trapmid}
signatures:
  trapmid: {target: trapmid}
  none: {target: none}
guided_priors:
  plgmi-none: {target: none, init: models/priors/public/gmi/prior.pt}
  student-none:
    target: none
    method: plgmi
    queried_model: models/surrogates/student-none
    side_information: models/signatures/trapmid.pt
attack_runs:
  gmi-none: {target: none}
  plgmi-none: {target: none, set: {lr: 0.5}}
  # through a student
  student-none:
    attack: through
    method: plgmi
    target: none
  # the end
"""
PAPER = """\
base: small
seeds: [3, 5]
data:
  faces: null
  celeba:
    identities: 1000
defaults: {targets: {data: celeba}}
trapdoor:
  alpha: 0.02
classifier_training:
  vgg: {lr: 0.01}
targets:
  trapmid: {arch: large}
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "profiles"
    made.mkdir()
    (made / "small.yaml").write_text(SMALL, encoding="utf-8")
    (made / "paper.yaml").write_text(PAPER, encoding="utf-8")
    return made


def plain(text: str):
    return YAML(typ="safe").load(text)


def test_rows_get_their_seed(folder):
    made = plain(profiles.compose("small", folder=folder))
    assert made["profile"] == "small"
    assert list(made["targets"]) == ["none-0", "trapmid-0"]
    assert made["targets"]["none-0"]["seed"] == 0
    assert made["guided_priors"]["plgmi-none-0"]["target"] == "none-0"
    assert made["attack_runs"]["plgmi-none-0"]["prior"] == "models/priors/guided/plgmi-none-0"


def test_what_is_shared_is_not_repeated(folder):
    made = plain(profiles.compose("small", folder=folder))
    assert made["attack_runs"]["gmi-none-0"]["prior"] == "models/priors/public/gmi"
    init = made["guided_priors"]["plgmi-none-0"]["init"]
    assert init == "models/priors/public/gmi/prior.pt"
    assert list(made["evaluators"]) == ["judge"]
    assert made["evaluators"]["judge"]["seed"] == 7
    assert list(made["public_priors"]) == ["gmi"]


def test_an_init_from_a_repeated_row_follows_the_seed(folder):
    made = plain(profiles.compose("small", [4], folder))
    assert made["targets"]["trapmid-4"]["init"] == "models/targets/none-4/model.pt"


def test_a_row_of_params_says_all_of_it(folder):
    """By its name, by the section's defaults, by the rows that it names."""
    made = plain(profiles.compose("small", folder=folder))
    target = {"method": "none", "block": "none", "arch": "tiny", "data": "faces", "seed": 0}
    assert made["targets"]["none-0"] == {"defense": "none"} | target
    assert made["targets"]["trapmid-0"]["method"] == "trapmid"
    assert made["targets"]["trapmid-0"]["block"] == "trapdoor"
    assert made["attack_runs"]["gmi-none-0"] == {
        "attack": "gmi",
        "method": "gmi",
        "target": "none-0",
        "queried_model": "models/targets/none-0",
        "side_information": "weights/none",
        "prior": "models/priors/public/gmi",
        "data": "faces",
        "seed": 0,
    }
    assert made["attack_runs"]["plgmi-none-0"]["set"] == {"lr": 0.5}
    assert made["guided_priors"]["plgmi-none-0"]["method"] == "plgmi"
    assert made["guided_priors"]["plgmi-none-0"]["queried_model"] == "models/targets/none-0"
    assert made["public_priors"]["gmi"]["method"] == "gmi"
    student = made["surrogates"]["student-none-0"]
    assert (student["surrogate"], student["method"]) == ("student", "distil")
    assert (student["arch"], student["data"]) == ("tiny", "faces")  # its target's
    assert made["signatures"]["none-0"]["leak"] == "weights/none"
    assert made["signatures"]["trapmid-0"]["leak"] == "models/leaks/trapmid-0.pt"
    assert "defaults" not in made


def test_an_attack_asks_what_its_own_prior_asked(folder):
    made = plain(profiles.compose("small", folder=folder))
    prior, attack = (made[s]["student-none-0"] for s in ("guided_priors", "attack_runs"))
    assert attack["prior"] == "models/priors/guided/student-none-0"
    for key in ("queried_model", "side_information", "data", "method"):
        assert attack[key] == prior[key], key
    assert (attack["attack"], attack["queried_model"]) == (
        "through",
        "models/surrogates/student-none-0",
    )


def test_rows_are_those_of_the_study():
    assert tuple(rows_of.ROWS) == profiles.ROWS
    rows = [cls for name, cls in rows_of.ROWS.items() if name not in ("raw", "data")]
    assert {f.name for cls in rows for f in dataclasses.fields(cls)} == set(profiles._ORDER)


STARS = """\
base: small
signatures:
  "*": {top_n: 4} # of everyone
  trapmid: {top_n: 5}
guided_priors:
  plgmi-*: {side_information: models/signatures/*.pt}
  plgmi-none: {data: other}
  student-none: null
surrogates:
  student-none: null
attack_runs:
  student-none: null
  gmi-*: {}
  # on what it learnt
  plgmi-*: {}
  plus-*: {method: plus, side_information: models/signatures/*.pt, of: [trapmid]}
"""


def test_a_row_with_a_star_is_a_row_of_every_target(folder):
    (folder / "stars.yaml").write_text(STARS, encoding="utf-8")
    made = plain(profiles.compose("stars", [4], folder))
    assert list(made["attack_runs"]) == [
        "gmi-none-4",
        "plgmi-none-4",
        "gmi-trapmid-4",
        "plgmi-trapmid-4",
        "plus-trapmid-4",
    ]
    assert made["attack_runs"]["plgmi-none-4"] == {
        "attack": "plgmi",
        "method": "plgmi",
        "target": "none-4",
        "queried_model": "models/targets/none-4",
        "side_information": "models/signatures/none-4.pt",
        "prior": "models/priors/guided/plgmi-none-4",
        "data": "other",
        "seed": 4,
        "set": {"lr": 0.5},
    }
    assert (
        made["attack_runs"]["plus-trapmid-4"]["side_information"]
        == "models/signatures/trapmid-4.pt"
    )


def test_a_row_that_is_written_out_is_merged_onto_its_copy(folder):
    (folder / "stars.yaml").write_text(STARS, encoding="utf-8")
    made = plain(profiles.compose("stars", [4], folder))
    own = made["guided_priors"]["plgmi-none-4"]
    assert (own["data"], own["side_information"]) == ("other", "models/signatures/none-4.pt")
    found = {row: block["top_n"] for row, block in made["signatures"].items()}
    assert found == {"none-4": 4, "trapmid-4": 5}


def test_null_takes_a_row_away(folder):
    gone = STARS.replace("plgmi-none: {data: other}", "plgmi-none: null")
    gone = gone.replace("  gmi-*: {}\n", "  gmi-*: {}\n  gmi-trapmid: null\n")
    (folder / "stars.yaml").write_text(gone, encoding="utf-8")
    made = plain(profiles.compose("stars", [4], folder))
    assert "gmi-trapmid-4" not in made["attack_runs"] and "gmi-none-4" in made["attack_runs"]
    assert made["guided_priors"].keys() == {"plgmi-trapmid-4"}
    assert made["surrogates"] == {}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "of: [trapmid]",
            "of: [bido]",
            r"attack_runs\.plus-\*\.of: no \['bido'\]; there are none, trap",
        ),
        ("of: [trapmid]", "of: bido", r"attack_runs\.plus-\*\.of: no \['bido'\]"),
        ("trapmid: {top_n: 5}", "trapmid: {of: [none]}", r"signatures\.trapmid\.of: belongs to a"),
        ("gmi-*: {}", "gmi-*: 3", r"attack_runs\.gmi-\*: must be a mapping"),
        (
            "gmi-*: {}",
            "gmj-none: null",
            r"attack_runs\.gmj-none: null takes a row away, and there is",
        ),
        (
            "attack_runs:\n",
            "targets: {bido: null}\nattack_runs:\n",
            r"targets\.bido: null takes a row away",
        ),
        (
            "attack_runs:\n",
            "defaults: {cels: {}}\nattack_runs:\n",
            r"defaults: no section of rows \['cels'\]",
        ),
    ],
)
def test_a_wrong_star_is_one_line(folder, old, new, words):
    (folder / "stars.yaml").write_text(STARS.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=words) as error:
        profiles.compose("stars", folder=folder)
    assert "\n" not in str(error.value)


def test_every_product_follows_the_seed(folder):
    made = plain(profiles.compose("small", [4], folder))
    row = made["attack_runs"]["student-none-4"]
    assert row["method"] == "plgmi" and row["queried_model"] == "models/surrogates/student-none-4"
    assert row["side_information"] == "models/signatures/trapmid-4.pt"
    assert made["signatures"]["trapmid-4"]["leak"] == "models/leaks/trapmid-4.pt"


def test_seeds_multiply_rows_and_change_none(folder):
    one = plain(profiles.compose("small", [0], folder))
    three = plain(profiles.compose("small", [0, 1, 2], folder))
    assert len(three["attack_runs"]) == 3 * len(one["attack_runs"])
    for section in profiles.FANNED:
        for row, block in one[section].items():
            assert three[section][row] == block
    assert three["seeds"] == [0, 1, 2]


def test_an_overlay_is_merged_block_by_block_and_row_by_row(folder):
    made = plain(profiles.compose("paper", folder=folder))
    assert made["trapdoor"] == {"alpha": 0.02, "beta": 0.3}
    assert set(made["classifier_training"]) == {"small", "vgg"}
    assert made["data"] == {"celeba": {"identities": 1000}}
    assert list(made["targets"]) == ["none-3", "none-5", "trapmid-3", "trapmid-5"]
    trapmid = made["targets"]["trapmid-5"]
    assert (trapmid["arch"], trapmid["block"], trapmid["data"]) == ("large", "trapdoor", "celeba")
    assert trapmid["init"] == "models/targets/none-5/model.pt"
    assert made["attack_runs"]["gmi-none-3"]["data"] == "celeba"
    assert made["profile"] == "paper"
    assert "base" not in made


def test_a_new_method_block_needs_a_target(folder):
    extra = folder / "bido.yaml"
    extra.write_text("base: small\nbido: {weight: 0.1}\n", encoding="utf-8")
    with pytest.raises(ProfileError, match=r"unknown \['bido'\]"):
        profiles.compose("bido", folder=folder)
    text = "base: small\nbido: {weight: 0.1}\ntargets: {bido: {}}\n"
    extra.write_text(text, encoding="utf-8")
    made = plain(profiles.compose("bido", folder=folder))
    assert made["bido"] == {"weight": 0.1}
    assert made["targets"]["bido-0"]["block"] == "bido"


def test_a_row_is_a_line_and_a_section_has_a_comment(folder):
    text = profiles.compose("small", [0, 1], folder)
    for row in ("gmi-none-0", "student-none-1", "judge", "trapmid-0"):
        assert len(re.findall(rf"^  {row}: \{{.*\}}$", text, re.MULTILINE)) >= 1, row
    assert "\n# Data sets\ndata:\n" in text and "\n# Trap-MID\ntrapdoor:\n  alpha: 0.1\n" in text
    assert "lr: 1e-3\n" in text and "milestones: [10, 20]\n" in text
    for remark in (
        "A header",
        "how many",
        "the defence",
        "tuned",
        "student\n",
        "the end",
        "of rows",
    ):
        assert f"# {remark}" not in text, remark
    assert text.startswith("# Profile `small`: written by `trapmid profile small --seeds 0 1`")
    assert text.endswith("\n")


@pytest.mark.parametrize("name", sorted(path.stem for path in OWN.glob("*.yaml")))
def test_dvc_writes_the_same_values_and_comments(name):
    """`dvc exp run -S` breaks lines of more than 80 columns, rows, and leaves the others."""
    from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

    text = profiles.compose(name, folder=OWN)
    again = dumps_yaml(parse_yaml_for_update(text, "params.yaml"))
    assert plain(again) == plain(text)
    assert re.findall("#.*", again) == re.findall("#.*", text)
    lines = again.splitlines()
    assert not [line for line in text.splitlines() if len(line) <= 80 and line not in lines]
    assert "&" not in text and " *" not in text  # aliases


def test_an_experiment_keeps_every_comment(tmp_path):
    from dvc.utils.hydra import apply_overrides

    path, text = tmp_path / "params.yaml", profiles.compose("attacks", folder=OWN)
    path.write_text(text, encoding="utf-8")
    changes = ["trapdoor.beta=0.125", "attack_runs.plus-trapmid-0.set.adaptive.auxiliary_weight=50"]
    apply_overrides(str(path), changes)
    again, wanted = path.read_text(encoding="utf-8"), plain(text)
    wanted["trapdoor"]["beta"] = 0.125
    wanted["attack_runs"]["plus-trapmid-0"]["set"]["adaptive"]["auxiliary_weight"] = 50
    assert plain(again) == wanted
    assert re.findall("#.*", again) == re.findall("#.*", text)


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [True], ["0"], 3])
def test_wrong_seeds_are_refused(folder, seeds):
    with pytest.raises(ProfileError, match="small: seeds: must be distinct whole numbers"):
        profiles.compose("small", seeds, folder)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "plgmi-none: {target: none",
            "plgmi-none: {target: nune",
            r"guided_priors\.plgmi-none\.target: no 'nune'",
        ),
        (
            "set: {lr: 0.5}",
            "prior: models/priors/guided/plgmi",
            r"attack_runs\.plgmi-none\.prior: no 'plgmi'",
        ),
        (
            "surrogates/student-none",
            "surrogates/x",
            r"guided_priors\.student-none\.queried_model: no 'x'",
        ),
        (
            "none: {target: none}",
            "none: {leak: models/leaks/y.pt}",
            r"signatures\.none\.leak: no 'y'",
        ),
        ("gmi-none: {target: none}", "gmi-none: {}", r"attack_runs\.gmi-none: no 'target'"),
        ("raw: {}\n", "", "no raw; an empty section"),
        (
            "  none: {}\n  #",
            "  none: {seed: 1}\n  #",
            r"targets\.none: `seed` comes from",
        ),
        ("raw: {}\n", "raw: [\n", "while parsing"),
    ],
)
def test_a_wrong_profile_is_one_line(folder, old, new, words):
    (folder / "small.yaml").write_text(SMALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ProfileError, match=words) as error:
        profiles.compose("small", folder=folder)
    assert "\n" not in str(error.value)


def test_an_unknown_profile_names_the_known(folder):
    with pytest.raises(ProfileError, match=r"no profile .large. in .*; there are paper, small"):
        profiles.compose("large", folder=folder)


def test_an_edited_file_is_not_replaceable(folder, tmp_path):
    path = tmp_path / "params.yaml"
    profiles.check_replaceable(path)  # no file yet
    text = profiles.compose("small", [0, 1], folder)
    path.write_text(text, encoding="utf-8")
    profiles.check_replaceable(path)
    path.write_text(text.replace("beta: 0.3", "beta: 0.1"), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"params\.yaml: edited since .* --force"):
        profiles.check_replaceable(path)
    path.write_text(text, encoding="utf-8")
    profiles.check_replaceable(path)  # the edit was taken back


@pytest.mark.parametrize("text", ["profile: small\n", "", "a: [\n", "# As written:\na: 1\n"])
def test_a_file_of_unknown_origin_is_not_replaceable(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError, match=r"params\.yaml: edited since"):
        profiles.check_replaceable(tmp_path / "params.yaml")


def test_a_profile_may_change_under_a_file_that_nobody_edited(folder, tmp_path):
    """One edits a profile, then writes params.yaml anew: nothing is lost by that."""
    path = tmp_path / "params.yaml"
    path.write_text(profiles.compose("small", folder=folder), encoding="utf-8")
    profile = folder / "small.yaml"
    profile.write_text(profile.read_text().replace("beta: 0.3", "beta: 0.1"), encoding="utf-8")
    profiles.check_replaceable(path)
    profile.unlink()
    profiles.check_replaceable(path)


def test_dvc_rewrites_the_file_and_its_origin_stays(folder, tmp_path):
    """`dvc exp run -S` writes it in a layout of its own: an edit by -S is one, a layout is none."""
    from dvc.utils.serialize import modify_yaml

    path = tmp_path / "params.yaml"
    text = profiles.compose("small", folder=folder)
    path.write_text(text.replace("milestones: [10, 20]", "milestones:\n    - 10\n    - 20"))
    assert path.read_text(encoding="utf-8") != text
    with modify_yaml(path) as values:
        values["trapdoor"]["beta"] = 0.1
    with pytest.raises(ProfileError, match="edited"):
        profiles.check_replaceable(path)
    with modify_yaml(path) as values:
        values["trapdoor"]["beta"] = 0.3
    profiles.check_replaceable(path)


def test_bases_may_have_bases(folder):
    (folder / "more.yaml").write_text("base: paper\ntrapdoor: {beta: 0.7}\n")
    made = plain(profiles.compose("more", folder=folder))
    assert made["trapdoor"] == {"alpha": 0.02, "beta": 0.7} and made["seeds"] == [3, 5]
    (folder / "loop.yaml").write_text("base: loop\n")
    with pytest.raises(profiles.ProfileError, match=r"loop\.yaml: its bases lead back to it"):
        profiles.compose("loop", folder=folder)


# --- the project's own: what the paper's profiles are made of -----------------------------------

AUGMENTATION = {  # Trap-MID, C.4
    "crop": 0.5,
    "crop_per": "batch",
    "scale": 0.8,
    "flip": 0.5,
    "rotation": 0.5,
    "degrees": 30.0,
}
# Everything that a paper profile takes from `small`, read against the papers and their code. What
# is not here, or is another value here, was never looked at: compare it with the official one, then
# list it, or write it into profiles/paper.yaml.
REVIEWED = {
    "none": {"augmentation": None},
    "none_aug": {"augmentation": AUGMENTATION},
    "trapdoor": {
        "optimized": True,
        "discriminator": True,
        "feature_discriminator": False,
        "feature_model_loss": False,
        "augmentation": AUGMENTATION,
        "smoothing": None,
        "smoothed_terms": "both",
    },
    "bido": {  # HSIC, Gaussian but for the labels; 16 people with 4 images each
        "measure": "hsic",
        "kernel": "gaussian",
        "label_kernel": "linear",
        "input_weight": 0.05,
        "label_weight": 0.5,
        "sigma": 5.0,
        "identities_per_batch": 16,
        "images_per_identity": 4,
    },
    "ted_plus": {"augmentation": AUGMENTATION},
    "transfer": {"freeze_statistics": True},  # ours
    "rolss": {"scale": 0.0, "stages": 1},  # not in the paper
    "dpsgd": {"poisson": True},  # not in the paper
    "prior_training": {
        "plgmi": {"view_noise": 0.0, "adaptive": None},
        "kedmi": {
            "batch_size": 64,
            "betas": [0.5, 0.999],
            "entropy_weight": 1e-4,
            "target_mode": "train",
            "precision": "fp32",
        },
    },
    "surrogate_training": {
        "distil": {
            "batch_size": 64,
            "lr": 0.02,  # Trap-MID's script; LOMMA's own file says 0.01
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "decay": 0.1,  # without milestones
            "temperature": 1.0,
            "augmentation": None,
            "keep_every": 2,
        },
        "finetune": {  # not in the paper
            "batch_size": 64,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "decay": 0.1,
            "temperature": 1.0,
            "augmentation": AUGMENTATION,
            "labels": "soft",
            "top_n": 30,
            "keep_every": 2,
        },
    },
    "attacks": {
        "plgmi": {"view_noise": 0.0, "adaptive": None},
        "kedmi": {"identity_weight": 100.0},
        "lomma": {
            "search": "points",
            "lr": 0.02,
            "momentum": 0.9,
            "bound": 1.0,
            "identity_weight": 100.0,
            "feature_weight": 1.0,
        },
        "brepmi": {
            "images_per_class": 1,
            "points": 32,
            "inside": 29,
            "radius": 2.0,
            "expansion": 1.3,
            "max_step": 3.0,
            "bound": 1.5,
            "init_batch": 256,
            "untargeted": None,  # Table 18: 300; docs/deviations.md
        },
    },
    "evaluation": {  # none of it official but the rate of false positives; docs/deviations.md
        "inception_weights": "models/external",
        "frechet_batch": None,
        "signature_fpr": 0.05,
        "low2high": None,
        "stretch": False,
    },
    "gate": {  # ours
        "controls": ["none", "none_aug"],
        "accuracy_drop": 0.03,
        "trapdoor_drop": 0.01,
        "attack_rise": 0.1,
        "attack_drop": 0.1,
    },
}


def leaves(node, at=()):
    """(path, value) of everything under `node` that is no mapping."""
    if not isinstance(node, dict):
        return {".".join(at): node}
    return {path: v for key in node for path, v in leaves(node[key], (*at, key)).items()}


def marked(node, at=()):
    """The same with every value replaced by the word small/<its path>."""
    if not isinstance(node, dict):
        return f"small/{'.'.join(at)}"
    return {k: marked(v, (*at, k)) for k, v in node.items()}


@pytest.fixture(scope="module")
def composed():
    """The paper's profiles: name -> params.yaml."""
    return {name: plain(profiles.compose(name, folder=OWN)) for name in PAPER_PROFILES}


@pytest.fixture(scope="module")
def inherited(composed, tmp_path_factory):
    """What each paper profile takes from `small`: profile -> {path: value}.

    Found by composing it over a `small` whose every value is a mark, but for its rows.
    """
    folder = tmp_path_factory.mktemp("profiles")
    shutil.copytree(OWN, folder, dirs_exist_ok=True)
    small = plain((OWN / "small.yaml").read_text(encoding="utf-8"))
    kept = {section: small[section] for section in (*profiles.ROWS, "defaults", "seeds")}
    YAML(typ="safe").dump(marked(small) | kept, folder / "small.yaml")
    found = {}
    for name in PAPER_PROFILES:
        made, values = plain(profiles.compose(name, [0], folder)), leaves(small)
        for section in profiles.ROWS:
            assert made[section].items() <= composed[name][section].items()
        marks = [v for v in leaves(made).values() if isinstance(v, str) and v.startswith("small/")]
        paths = [mark.removeprefix("small/") for mark in marks]
        # Words say which profile they were measured on; they decide nothing.
        paths = [path for path in paths if not path.startswith("gate.why.")]
        found[name] = {path: values[path] for path in paths}
    return found


@pytest.mark.parametrize("name", PAPER_PROFILES)
def test_what_a_paper_profile_inherits_was_reviewed(inherited, name):
    reviewed = leaves(REVIEWED)
    unseen = {p: v for p, v in inherited[name].items() if p not in reviewed or reviewed[p] != v}
    assert not unseen, f"{name} takes from small, unreviewed: {unseen}"


def test_nothing_is_reviewed_in_vain(inherited):
    taken = set().union(*inherited.values())
    assert set(leaves(REVIEWED)) == taken


def test_paper_profiles_agree_on_what_they_share(composed):
    """One name, one thing: so that what a profile has made is of use to the next one."""
    first: dict[str, tuple[str, object]] = {}
    for name, study in composed.items():
        rows = {
            s: study[s]
            for s in (
                *profiles.ROWS,
                "classifier_training",
                "prior_training",
                "surrogate_training",
                "attacks",
            )
        }
        parts = {f"{s}.{key}": part for s, block in rows.items() for key, part in block.items()}
        parts |= {s: block for s, block in study.items() if s not in rows and s != "profile"}
        for key, part in parts.items():
            other, value = first.setdefault(key, (name, part))
            # The floor asks no target; a row names one all the same.
            assert part == value or key.startswith("attack_runs.random-"), (
                f"{key}: {name}, not {other}"
            )


@pytest.mark.parametrize("name", PAPER_PROFILES)
def test_official_values_of_the_paper_profiles(composed, name):
    made = composed[name]
    attacks = made["attacks"]
    assert attacks["kedmi"]["lr"] == attacks["lomma"]["lr"] == 0.02
    assert made["evaluation"]["frechet_min_success"] <= 12  # GMI on Trap-MID: 12 of 5,000
    for row, block in made["targets"].items():
        fit = made["classifier_training"][block["training"]]
        wanted = 40 if block["arch"] == "ir152" else 50  # Trap-MID, C.3
        assert fit["epochs"] == (100 if "negls" in row else wanted), row


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("paper", ()),
        ("paper_attacks", ()),
        ("paper_ablations", ()),
        (
            "paper_networks",
            ("classifier_training.short.select=test", "classifier_training.adam_short.select=test"),
        ),
        ("paper_ffhq", ("data.celeba_ffhq.val_fraction=0",)),
    ],
)
def test_the_documented_way_to_do_without_validation_images(composed, name, more):
    """After docs/deviations.md, no classifier's epoch is chosen on images that are not there."""
    text = (OWN.parent / "docs" / "deviations.md").read_text(encoding="utf-8")
    study = copy.deepcopy(composed[name])
    for setting in (*re.findall(r"-S ([^ `]+)", text), *more):
        path, value = setting.split("=")
        *above, key = path.split(".")
        block = functools.reduce(lambda node, name: node[name], above, study)
        assert key in block, path
        block[key] = plain(value)
    assert all(row["val_fraction"] == 0 for row in study["data"].values())
    for section in profiles.CLASSIFIERS:
        for row, block in study[section].items():
            assert study["classifier_training"][block["training"]]["select"] in ("test", "last"), (
                row
            )


def test_the_paper_on_ffhq_has_every_row_of_its_tables(composed):
    """Tables 4 and 14 to 16: attack, defence, public images, seed."""
    made = composed["paper_ffhq"]
    found = {
        (row["attack"], made["targets"][row["target"]]["defense"], row["data"], row["seed"])
        for row in made["attack_runs"].values()
    }
    everyone = ("none", "mid", "bido", "negls", "trapmid")
    wanted = {(attack, one) for attack in ("plgmi", "plgmi_plus") for one in everyone}
    wanted |= {("plgmi_plus_plus", "trapmid")}
    seeds, sets = range(5), ("celeba", "celeba_ffhq")
    floor = {("random", "none", "celeba", seed) for seed in seeds}
    assert found == floor | {
        (*row, data, seed) for row in wanted for data in sets for seed in seeds
    }
    for row in made[
        "attack_runs"
    ].values():  # an attacker has one public set, from the first step on
        if row["attack"] != "random":
            prior = made["guided_priors"][Path(row["prior"]).name]
            assert (
                prior["data"] == row["data"]
                and prior["side_information"] == row["side_information"]
            )
            if row["side_information"] != "weights/none":
                assert made["signatures"][Path(row["side_information"]).stem]["data"] == row["data"]
    ffhq = made["data"]["celeba_ffhq"]
    assert ffhq["public_images"] is None and ffhq["public"]["reader"] == "ffhq"
    assert made["validation"]["public_images"] == [30_000, 70_000]
    assert ffhq == made["data"]["celeba"] | {
        "public": ffhq["public"],
        "public_images": None,
        "public_max_images": None,
        "public_above": None,
    }
