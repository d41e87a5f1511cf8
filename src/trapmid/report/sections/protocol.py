"""How the numbers were made: what is counted, and with which parameters."""

from __future__ import annotations

from trapmid.report import names
from trapmid.report.blocks import Section, Table, table
from trapmid.report.findings import Findings
from trapmid.report.markdown import escaped
from trapmid.report.sections.attacks import frechet_name
from trapmid.report.sections.study import data, parameters
from trapmid.report.words import percent
from trapmid.scoring.machine import mixed
from trapmid.scoring.scores import machines

_RATES = {
    "AA-1, AA-5": "share that the evaluator puts first, or among its first five",
    "KNN Dist": "squared L2 to the nearest private training image of the class, mean",
}
_KEPT = {
    "val": "the best on validation images",
    "test": "the best on test images",
    "last": "the last one",
}
_WORDS = {
    "Floor": "random latents through the public prior: no target is asked",
    "Ceiling": "real private test images scored as if they were reconstructions",
    "Spread over seeds": "mean ± the population deviation (n in the denominator, as in the paper's "
    "tables); s is the sample deviation (n − 1), which estimates how far other seeds would lie "
    "apart",
    "Spread within a run": "± in the line of one seed: the sample deviation of that run's rate "
    "over its draws of everybody; in the paper's appendix, over the draws of a batch of people, "
    "batches averaged",
    "Theory": "test images with the triggers of balanced random classes, those of trapdoor "
    "success; δ and ε in nats",
}


def protocol(found: Findings) -> Section:
    """What each number and name is, the data, and all parameters."""
    rows = _runs(found) | _RATES | _measures(found) | _WORDS
    lines = "\n".join(f"- **{name}**: {words}" for name, words in rows.items())
    return Section(
        "Protocol",
        [lines, "### Names", _names(found), *data(found), parameters(found.params)],
    )


def _names(found: Findings) -> Table:
    """What the names in this report mean, and their codes in params.yaml and the files."""
    methods = {
        **{code.split("@")[0]: names.DEFENSES.get(code.split("@")[0]) for code in found.targets},
        **{code: names.ATTACKS.get(code) for code in found.metrics["attacks"]},
    }
    lines = [
        (one.full, one.gloss or "–", code) if one else (code.replace("_", " "), "–", code)
        for code, one in methods.items()
    ]
    return table("lpl", ("Name", "What it does", "Code"), lines)


def _runs(found: Findings) -> dict[str, str]:
    trainings = {block["training"] for block in found.params["targets"].values()}
    chosen = sorted({found.params["classifier_training"][name]["select"] for name in trainings})
    sizes = sorted({int(one["batch_size"]) for one in found.inputs.stats["attack_runs"].values()})
    chosen_by = "the memory" if found.params["inversion"]["batch_size"] is None else "params.yaml"
    made = escaped(_images_per_identity(found))
    return {
        "Reconstructions": f"{made}; what each search ended with, none picked by result"
        + _selected(found),
        "Rows searched at once": f"{', '.join(map(str, sizes))}, chosen by {chosen_by}; "
        + _depending(found),
        "Seeds of targets and attacks": ", ".join(map(str, found.seeds)),
        "Epoch kept of a target": "; ".join(_KEPT[name] for name in chosen),
        "Instruction sets": f"{_instructions(found)}; another processor computes other last bits, "
        "and so other scores",
        **_mixed(found),
    }


def _mixed(found: Findings) -> dict[str, str]:
    """A warning where rows were not all made alike; nothing else where they were."""
    inputs = found.inputs
    scored = machines(inputs.evaluators, inputs.targets, inputs.judges, inputs.attack_runs)
    trained = [one for section in inputs.stats.values() for one in section.values()]
    differing = mixed([*trained, *map(vars, scored)])
    if not differing:
        return {}
    which = "; ".join(f"{name}: {', '.join(values)}" for name, values in differing.items())
    return {
        "Warning": f"rows were not all computed alike ({which}), so a difference between two of "
        "them may be the machine's"
    }


def _depending(found: Findings) -> str:
    """Whether a result hangs on how many rows were searched at once."""
    noisy = [
        names.defense(defense)
        for defense, rows in found.targets.items()
        if any(found.inputs.targets[row].stochastic for row in rows)
    ]
    if not noisy:
        return "no result depends on it"
    return (
        f"no result depends on it but those on {', '.join(noisy)}, which draws noise for a whole "
        "batch"
    )


def _selected(found: Findings) -> str:
    """The attacks that keep images by what the model that they asked says; it is no judge."""
    words = {
        "confidence": "those of which the asked model is surest",
        "layer": "of each search the layer of the lowest loss, unless `layer` names one",
    }
    text = ""
    for count, kept in words.items():
        runs = found.inputs.attack_runs.values()
        some = dict.fromkeys(names.attack(one.attack) for one in runs if count in one.counts)
        text += f"; {', '.join(some)}: {kept}" if some else ""
    return text


def _instructions(found: Findings) -> str:
    """What the processors computed with, by the records of trainings and attacks, and of scores."""
    rows = [one for section in found.inputs.stats.values() for one in section.values()]
    used = {
        f"torch {one['instructions']}, oneDNN {one.get('onednn') or 'not recorded'}"
        for one in rows
        if one.get("instructions")
    }
    inputs = found.inputs
    scored = machines(inputs.evaluators, inputs.targets, inputs.judges, inputs.attack_runs)
    trained = "; ".join(sorted(used)) or "not recorded"
    return f"{trained}; scores: {'; '.join(sorted(map(str, scored))) or 'not recorded'}"


def _measures(found: Findings) -> dict[str, str]:
    evaluation = found.params["evaluation"]
    return {
        frechet_name(found): "successful reconstructions against private training images; not "
        f"computed below {evaluation['frechet_min_success']} successes",
        "Trapdoor signature": "cosine with the mean feature of poisoned images; threshold at "
        f"{percent(evaluation['signature_fpr'], 0)} of clean private training images",
    }


def _images_per_identity(found: Findings) -> str:
    """How many images of a person the attacks made; not all make equally many."""
    attacks: dict[int, dict[str, None]] = {}
    for attack_run, block in found.params["attack_runs"].items():
        count = found.inputs.attack_runs[attack_run].protocol.images_per_identity
        attacks.setdefault(count, {})[names.attack(block["attack"])] = None
    counts = ", ".join(f"{count} ({', '.join(listed)})" for count, listed in attacks.items())
    return counts.replace(" (", " per private identity (", 1)
