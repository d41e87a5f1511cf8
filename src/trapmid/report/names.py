"""The names of attacks and defences as a reader knows them, and in a few words what they are.

params.yaml and every file of numbers have codes (`plgmi_plus`); what people read has these names.
"""

from __future__ import annotations

from typing import NamedTuple


class Name(NamedTuple):
    """A method's name."""

    full: str
    gloss: str = ""  # what it does, without a verb before it; empty: the name says it


DEFENSES = {
    "audited": Name("The audited model"),
    "none": Name("No defence"),
    "none_aug": Name(
        "No defence, Trap-MID's augmentation (control)", "shows what the augmentation alone does"
    ),
    "trapmid": Name("Trap-MID", "plants one hidden trigger per person for attacks to find"),
    "trapmid_fixed": Name("Trap-MID, fixed triggers"),
    "trapmid_open": Name("Trap-MID, triggers not hidden"),
    "trapmid_plain": Name("Trap-MID without augmentation"),
    "trapmid_every": Name("Trap-MID, search at every second step"),
    "trapmid_settled": Name("Trap-MID, search until it succeeds"),
    "trapmid_small": Name("Trap-MID, small discriminator"),
    "trapmid_small_every": Name("Trap-MID, small discriminator, every second step"),
    "trapmid_free": Name("Trap-MID, free triggers"),
    "trapmid_free_small": Name("Trap-MID, free triggers, small discriminator"),
    "trapmid_free_every": Name("Trap-MID, free triggers, small discriminator at every second step"),
    "trapmid_tuned": Name("Trap-MID, fine-tuned"),
    "trapmid_negls": Name("Trap-MID with NegLS"),
    "trapmid_negls_main": Name("Trap-MID with NegLS on the main term"),
    "ted": Name("TeD", "plants visible squares as triggers"),
    "ted_plus": Name("TeD+", "plants squares that are optimised"),
    "trapmid_half": Name("Trap-MID, half of alpha", "plants fainter triggers"),
    "trapmid_quarter": Name("Trap-MID, a quarter of alpha", "plants fainter triggers"),
    "trapmid_eighth": Name("Trap-MID, an eighth of alpha", "plants fainter triggers"),
    "mid": Name("MID", "narrows what the classifier keeps of an image"),
    "mid_fresh": Name("MID, fresh noise", "narrows what the classifier keeps of an image"),
    "bido": Name("BiDO", "makes hidden layers depend little on the image"),
    "bido_coco": Name("BiDO (COCO)", "makes hidden layers depend little on the image"),
    "negls": Name("NegLS", "smooths labels with a negative factor"),
    "transfer": Name("TL-DMI", "learns the early layers on other people"),
    "rolss": Name("RoLSS", "takes late skip connections away"),
    "dpsgd": Name("DP-SGD", "clips gradients and adds noise"),
    "midre": Name("MIDRE", "erases a square of every training image"),
    "loft": Name("LoFt", "lets only a few numbers through to the answer"),
    "atat": Name("AT-AT", "learns to be fooled by tiny changes"),
}
ATTACKS = {
    "random": Name("Random latents", "the floor: no target is asked"),
    "gmi": Name("GMI", "searches a generator of public images"),
    "gmi_taa": Name("GMI, averaged", "averages its loss over views of an image"),
    "kedmi": Name("KED-MI", "trains its generator on the target's soft labels"),
    "ppa": Name("PPA", "searches the style codes of a StyleGAN2"),
    "ifgmi": Name("IF-GMI", "searches features inside its generator"),
    "ppa_plus": Name("PPA+", "PPA that also seeks what public faces of a class share"),
    "gmi_plus": Name("GMI+", "GMI that also seeks what public faces of a class share"),
    "kedmi_plus": Name("KED-MI+", "KED-MI that also seeks what public faces of a class share"),
    "ifgmi_plus": Name("IF-GMI+", "IF-GMI that also seeks what public faces of a class share"),
    "ppa_inverted": Name("PPA++ without a leak", "finds triggers of its own and avoids them"),
    "ppa_all": Name("PPA, all", "keeps every search, not the surest alone"),
    "lomma_gmi": Name("LOMMA (GMI)", "asks copies of the target, too"),
    "lomma_kedmi": Name("LOMMA (KED-MI)", "asks copies of the target, too"),
    "lomma_gmi_plus": Name("LOMMA+ (GMI)", "LOMMA that seeks what public faces of a class share"),
    "lomma_kedmi_plus": Name("LOMMA+ (KED-MI)", "the same, on the prior that knows the target"),
    "plgmi": Name("PLG-MI", "trains its generator on public images that the target labelled"),
    "plgmi_plus": Name("PLG-MI+", "PLG-MI that also seeks what public faces of a class share"),
    "plgmi_plus_plus": Name("PLG-MI++", "PLG-MI that has the trapdoor's leaked signatures"),
    "plgmi_inverted": Name("PLG-MI++ without a leak", "finds triggers of its own and avoids them"),
    "plgmi_distil": Name("PLG-MI on a student", "asks a copy that learnt the target's answers"),
    "plgmi_finetuned": Name("PLG-MI on a fine-tuned copy", "asks a copy that forgot the trapdoor"),
    "plgmi_strong": Name("PLG-MI on strong views", "averages over stronger augmentations"),
    "brepmi": Name("BREP-MI", "sees labels alone"),
}
TRAITS = {"iris": "iris colour", "brows": "eyebrows"}
"""Groups of parameters whose code does not say what they are."""


def defense(label: str) -> str:
    """The name of a defence; what `groups.label` puts behind an @ is in brackets."""
    code, *other = label.split("@")
    return _named(DEFENSES, code) + (f" ({', '.join(other)})" if other else "")


def attack(code: str) -> str:
    """The name of an attack; that of an unknown one is its code with spaces."""
    return _named(ATTACKS, code)


def trait(code: str) -> str:
    """The name of a group of parameters; most are their code."""
    return TRAITS.get(code, code)


def gloss(code: str) -> str:
    """What an attack does, in a few words; empty where that is not known."""
    return ATTACKS[code].gloss if code in ATTACKS else ""


def _named(names: dict[str, Name], code: str) -> str:
    return names[code].full if code in names else code.replace("_", " ")
