"""The numbers of docs/deviations.md on the small profiles are those of the profiles."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import shipped
from trapmid.config import params
from trapmid.nets import stylegan2

ROOT = Path(__file__).resolve().parents[1]


@functools.cache
def profile(name: str) -> Any:
    """A profile as it is written; `small` has a block of every method."""
    return YAML(typ="safe").load((ROOT / "profiles" / f"{name}.yaml").read_text("utf-8"))


@functools.cache
def composed(name: str) -> Any:
    """The params.yaml of a profile, over its bases."""
    return params.parse(shipped.text(name))


def table(heading: str) -> dict[str, str]:
    """The rows below `heading`, as written, by their first column."""
    text = (ROOT / "docs/deviations.md").read_text("utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return {row.split("|")[1].strip(): row for row in rows}


def short(number: float) -> str:
    """As people write it: 2e-5."""
    return f"{number:.0e}".replace("e-0", "e-")


def steps(training: Any) -> int:
    """Of a training on the small profile's faces, whose splits are rounded up per person."""
    of_each = profile("small")["raw"]["synthetic"]["options"]
    data = profile("small")["data"]["faces"]
    test, val = (
        math.ceil(round(data[f"{part}_fraction"] * of_each["images"], 6))
        for part in ("test", "val")
    )
    images = of_each["identities"] * (of_each["images"] - test - val)
    of_each_epoch: int = math.ceil(images / training["batch_size"])
    return int(training["epochs"]) * of_each_epoch


def trapdoor() -> str:
    block, training = (
        profile("small")["trapdoor"],
        profile("small")["classifier_training"]["target"],
    )
    return (
        f"| alpha {block['alpha']}, beta {block['beta']}, {steps(training)} steps "
        f"at {training['lr']} |"
    )


def photographs() -> str:
    people = profile("celeba_small")["data"]["strangers"]["identities"]
    teacher = profile("celeba_taught")["pretrained"]["taught"]["teacher"]
    return f"| `celeba_small`: {people:,} public people; `celeba_taught`: {teacher}'s embedding "


def trigger() -> str:
    block = profile("small")["trapdoor"]
    weight, size = block["hiding_weight"], block["step_size"]
    return f"`trapdoor.hiding_weight: {weight}`, `step_size: {size}` |"


def kedmi() -> str:
    block = profile("small")["prior_training"]["kedmi"]
    rate = short(block["lr_generator"])
    return f"| {block['steps']} steps, its generator from GMI's shipped weights at {rate} |"


def distributions() -> str:
    attacks = profile("small")["attacks"]
    lomma = attacks["lomma"] | profile("attacks")["attack_runs"]["lomma_kedmi-*"]["set"]
    assert lomma["steps"] == attacks["kedmi"]["steps"]
    return (
        f"| KED-MI at {attacks['kedmi']['lr']} (`attacks.kedmi.lr`), LOMMA at {lomma['lr']}; "
        f"{lomma['steps']} steps |"
    )


def finetuned() -> str:
    plain = profile("small")["surrogate_training"]["finetune"]["lr"]
    rows = profile("attacks")["surrogates"]
    mid, bido, dpsgd = (rows[f"finetuned-{name}"]["set"]["lr"] for name in ("mid", "bido", "dpsgd"))
    assert mid == bido
    return f"| fine-tuned at {plain}; MID and BiDO at {mid}, DP-SGD at {dpsgd} "


def students() -> str:
    epochs = profile("small")["surrogate_training"]["distil"]["epochs"]
    return f"| three small convolutional networks, {epochs} epochs from random weights |"


def adaptive() -> str:
    rows = profile("attacks")["guided_priors"]
    plus, both = (rows[name]["set"]["adaptive"] for name in ("plus-*", "plus_plus-*"))
    assert both["auxiliary_weight"] == both["trapdoor_weight"] and plus["trapdoor_weight"] == 0
    return f"| {plus['auxiliary_weight']:g} and {both['trapdoor_weight']:g} ("


def brepmi() -> str:
    block = profile("small")["attacks"]["brepmi"]
    return f"| patience {block['patience']}, at most {block['proposals']} proposals a row |"


def guided() -> str:
    block = profile("small")["prior_training"]["plgmi"]
    assert block["critic_steps"] == 1
    generator, critic = short(block["lr_generator"]), short(block["lr_critic"])
    return (
        f"| {block['steps']} steps of one critic step at learning rates {generator} (generator) "
        f"and {critic} (critic), "
    )


def adam() -> str:
    training = profile("wide")["classifier_training"]["adam"]
    users = {name for name, row in profile("wide")["targets"].items() if row.get("training")}
    assert users == {"bido", "negls", "dpsgd"} and len(training["milestones"]) > 1
    return f"| {short(training['lr'])}, {training['epochs']} epochs with drops |"


def strangers() -> str:
    people = profile("wide")["data"]["strangers"]["identities"]
    return f"| a classifier of {people} other drawn people (`pretrained.strangers`) |"


def squares() -> str:
    side, size = profile("small")["ted"]["square"], profile("small")["data"]["faces"]["image_size"]
    return f"| {side} x {side} of {size} x {size} |"


def blend() -> str:
    ted, plus = profile("small")["ted"]["alpha"], profile("small")["ted_plus"]["alpha"]
    assert ted == plus
    return f"| alpha {plus}, as TeD's |"


def combined() -> str:
    assert "training" not in profile("wide")["targets"]["trapmid_negls"]  # so it is the default one
    name = profile("small")["defaults"]["targets"]["training"]
    training = profile("small")["classifier_training"][name]
    assert training["optimizer"] == "sgd"
    return f"| trained as Trap-MID here, {training['epochs']} epochs of SGD |"


def bottleneck() -> str:
    return f"| {profile('small')['mid']['width']} |"


def ppa_drawn() -> str:
    block = profile("small")["attacks"]["ppa"]
    asked = profile("attacks")["guided_priors"]["ppa-*"]["set"]["candidates"]
    styles = stylegan2.Size(image_size=profile("small")["data"]["faces"]["image_size"]).num_styles
    kept = block["robustness"]
    assert asked["keep"] == block["candidates"]
    return (
        f"| {asked['pool']} latents, {asked['keep']} candidates, cutoff {asked['cutoff']} of "
        f"{styles}, {block['steps']} steps at {block['lr']}, {kept['views']} views, "
        f"{kept['keep']} kept |"
    )


def ppa_photographs() -> str:
    block = profile("celeba_small")["attacks"]["ppa"]
    asked = profile("celeba_small")["guided_priors"]["ppa-*"]["set"]["candidates"]
    area, ratio = block["view"]["area"], block["view"]["ratio"]
    assert asked["keep"] == block["candidates"] and area[1] == 1.0
    return (
        f"| {asked['pool']:,} latents, {asked['keep']} candidates, {block['steps']} steps at "
        f"{block['lr']}, crops from {area[0]} on with ratios of {ratio[0]} to {ratio[1]}, "
        f"{block['robustness']['keep']} kept |"
    )


def ifgmi() -> str:
    block = profile("small")["attacks"]["ifgmi"]
    first, second = block["layers"]
    assert block["candidates"] is None and first["steps"] == second["steps"]
    return (
        f"| two layers with radii {first['radius']:g} and {second['radius']:g}, from random codes "
        f"of GMI's prior; {block['steps']} and {first['steps']} steps at {block['lr']} |"
    )


def alignmi() -> str:
    rows = profile("style")["attack_runs"]
    taa, paa = (rows[f"gmi_{name}-*"]["set"]["averaging"] for name in ("taa", "paa"))
    assert taa["views"] == paa["views"]
    return f"| {paa['views']} neighbours, noise {paa['noise']} |"


ROWS: dict[str, Callable[[], str]] = {
    "trapdoor": trapdoor,
    "trigger loss (eq. 5)": trigger,
    "KED-MI's prior": kedmi,
    "KED-MI's and LOMMA's search over distributions": distributions,
    "the fine-tuned copy": finetuned,
    "LOMMA's students": students,
    "weights of PLG-MI+ and ++": adaptive,
    "BREP-MI": brepmi,
    "guided priors": guided,
    "Adam defences (BiDO, NegLS)": adam,
    "start of the targets on photographs": photographs,
    "TL-DMI's start": strangers,
    "squares of TeD": squares,
    "TeD+'s blend": blend,
    "Trap-MID with NegLS": combined,
    "MID's bottleneck": bottleneck,
    "PPA, drawn faces": ppa_drawn,
    "PPA, `celeba_small`": ppa_photographs,
    "IF-GMI": ifgmi,
    "AlignMI": alignmi,
}
WITHOUT_NUMBERS = {
    *("what", "faces", "image size", "start of the priors", "VAE-GAN"),
    "critic steps, latent sizes, iterations",
    "learning rates that have no row here",
}
HEADING = "The small and wide profiles only"


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_the_profile_does(name: str) -> None:
    row, wanted = table(HEADING)[name], ROWS[name]()
    assert wanted in row, f"docs/deviations.md says otherwise than the profiles: {wanted}"


def test_every_row_is_read() -> None:
    """A new row is put into `ROWS`, or has no number of ours."""
    assert table(HEADING).keys() == ROWS.keys() | WITHOUT_NUMBERS


def test_when_triggers_stay() -> None:
    row, small = table("Defences")["Trap-MID, end of the search"], profile("small")["trapdoor"]
    until = profile("paper")["trapdoor"]["until"]
    assert f"| `trapdoor.until: {until}` in the paper profiles, {small['until']} in the " in row


# --- all profiles ---------------------------------------------------------------------------------


def names(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def selected(name: str, section: str) -> dict[str, str]:
    """Of a profile: which epoch the trainings of a section keep, by training."""
    trainings = composed(name)["classifier_training"]
    used = {row["training"] for row in composed(name)[section].values()}
    return {training: trainings[training]["select"] for training in used}


@pytest.mark.slow
def test_which_epoch_is_kept() -> None:
    row = table("All profiles")["model selection"]
    late = names(row.split("of the evaluators of")[1].split(";")[0])
    assert late == {n for n in shipped.NAMES if "last" in selected(n, "evaluators").values()}
    for name in shipped.NAMES:
        want = {"last"} if name in late else {"val"}
        assert set(selected(name, "evaluators").values()) <= want, name  # `start` has none
    trainings = names(row.split("the paper profiles' trainings")[1].split(", and of")[0])
    seen = set()
    for name in shipped.NAMES:
        for training, select in selected(name, "targets").items():
            last = training in trainings or not name.startswith("paper")
            assert select == ("last" if last else "val"), (name, training)
            seen |= {training} & trainings if name.startswith("paper") else set()
    assert seen == trainings == {"negls", "dpsgd", "highres"}


def augmentations(name: str) -> list[str]:
    """What each evaluator of a profile learns with, the second one behind the first."""
    study = composed(name)
    found = []
    for row in study["evaluators"].values():
        flips = study["classifier_training"][row["training"]]["flip"]
        plain = "flips" if flips else "nothing"
        found.append(plain if study[row["block"]]["augmentation"] is None else row["block"])
    return found


@pytest.mark.slow
def test_what_evaluators_learn_with() -> None:
    row = table("All profiles")["evaluator's augmentation"]
    assert "| flips alone in the paper profiles; " in row
    both = names(row.split("in all profiles that draw faces, in")[1].split(", and of")[0])
    second = names(row.split("the second evaluator of")[1].split(", whose")[0])
    none = names(row.split("nor has that of")[1].split(" |")[0])
    for name in shipped.NAMES:
        want = ["none_aug", "none_aug"]  # of drawn faces, and of `both`
        if name.startswith("paper"):
            want = ["flips"]
        elif name in second:
            want = ["nothing", "none_aug"]
        elif name in none:
            want = ["nothing"]
        elif not is_drawn(name):
            assert name in both
        assert augmentations(name) == (want if composed(name)["evaluators"] else []), name


def is_drawn(name: str) -> bool:
    """Whether a profile's private faces are drawn by the project."""
    return any(block["maker"] == "synthetic" for block in composed(name)["raw"].values())


# --- photographs and digits -----------------------------------------------------------------------

PHOTOGRAPHS = "Trap-MID on photographs and digits"
COLUMNS = re.findall(r"`(\w+)`", table(PHOTOGRAPHS)["what"])
OF_PHOTOGRAPHS = [key.strip("`") for key in table(PHOTOGRAPHS) if key != "what"]


def value(name: str, key: str) -> Any:
    return functools.reduce(lambda block, part: block[part], key.split("."), composed(name))


def leaves(block: Any, key: str) -> set[str]:
    """The dotted keys of everything in a block that is no block."""
    if not isinstance(block, Mapping):
        return {key}
    return {leaf for name, inner in block.items() for leaf in leaves(inner, f"{key}.{name}")}


@pytest.mark.slow
@pytest.mark.parametrize("key", OF_PHOTOGRAPHS)
def test_a_constant_on_real_images_is_the_profiles(key: str) -> None:
    cells = [cell.strip() for cell in table(PHOTOGRAPHS)[f"`{key}`"].split("|")[2:-2]]
    assert cells == [str(value(name, key)) for name in ("paper", *COLUMNS)]


@pytest.mark.slow
def test_every_profile_and_constant_of_real_images_is_listed() -> None:
    """Of the trapdoor's block: whatever differs from the paper's profile anywhere."""
    real = {n for n in shipped.NAMES if not n.startswith("paper") and not is_drawn(n)}
    assert set(COLUMNS) == {n for n in real if "trapdoor" in composed(n)}
    different = {
        key
        for key in leaves(composed("paper")["trapdoor"], "trapdoor")
        if any(value(name, key) != value("paper", key) for name in COLUMNS)
    }
    assert different == {key for key in OF_PHOTOGRAPHS if key.startswith("trapdoor.")}
