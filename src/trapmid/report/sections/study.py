"""The question, the data, the parameters, the time, and the deviations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trapmid.artifacts import results
from trapmid.config.evaluation import UNDEFENDED
from trapmid.report import names
from trapmid.report.blocks import Block, Fold, Line, Picture, Pictures, Section, Table, table
from trapmid.report.findings import Findings
from trapmid.report.markdown import escaped
from trapmid.report.sections.recovered import KINDS
from trapmid.report.words import listed, percent

_QUESTION = """\
A model-inversion attack rebuilds what the people in a classifier's training set look like, from \
the classifier alone. Trap-MID plants a trigger per class in the classifier: a shortcut that an \
attack finds before it finds the person. The question is how much of the private images each \
attack recovers {from_whom}, and what each defence costs in accuracy and time."""

_THREATS = """\
**The attacker** has the trained target with its weights (white box), may differentiate through \
it without limit, knows its classes, and owns public images of other people from which a \
generative prior is learnt. The attacker sees no private image and no trigger. Some attacks go \
further or less far: PLG-MI+ knows that there is a trapdoor, PLG-MI++ got hold of its \
signatures, others ask a student or a fine-tuned copy of the target, BREP-MI sees labels alone. \
**The defender** controls the training of the target and nothing after it. **The evaluator** is a \
separate classifier of another architecture, trained on the same private images, which neither \
side sees."""


_QUESTION_OF_AN_AUDIT = """\
A model-inversion attack rebuilds what the people in a classifier's training set look like, from \
the classifier alone. The question is how much of the private images each attack recovers from the \
audited model, and from a network that learnt the same people here without a defence (the \
control)."""

_THREATS_OF_AN_AUDIT = """\
**The attacker** has the model's file, may differentiate through it without limit, knows its \
classes, and owns public images of other people from which a generative prior is learnt; BREP-MI \
sees labels alone. The attacker sees no private image. **The evaluator** is a separate classifier \
of another architecture, trained on the same private images, which the attacker does not see."""


_ASKED = {
    UNDEFENDED: "without a defence",
    "none_aug": "with Trap-MID's augmentation but no trapdoor (the control)",
    "trapmid": "with Trap-MID",
}


def question(found: Findings, *, of_an_audit: bool) -> Section:
    """What is asked, and who knows what."""
    asked = _QUESTION.format(from_whom=_from_whom(found))
    words = [_QUESTION_OF_AN_AUDIT, _THREATS_OF_AN_AUDIT] if of_an_audit else [asked, _THREATS]
    return Section("Question and threat model", words)


def _from_whom(found: Findings) -> str:
    """The defences of the study, the best known ones by name."""
    there = dict.fromkeys(defense.split("@")[0] for defense in found.targets)
    said = [words for code, words in _ASKED.items() if code in there]
    if others := [code for code in there if code not in _ASKED]:
        more = "the other defences" if said else f"{len(others)} defences"
        said.append(
            f"with {more} of this study" if len(others) > 1 else f"with {names.defense(others[0])}"
        )
    return f"{', '.join(said[:-1])}, and {said[-1]}" if len(said) > 1 else "".join(said)


def data(found: Findings) -> list[Block]:
    """Per row of `data` that a classifier or an attack uses: images, a sample, and its contract."""
    used = {
        block["data"] for section in results.TRAINED for block in found.params[section].values()
    }
    return [block for row in found.params["data"] if row in used for block in _of_row(found, row)]


def _of_row(found: Findings, row: str) -> list[Block]:
    block, contract = found.params["data"][row], found.inputs.contracts[row]
    size = block["image_size"]
    counts = "; ".join(f"{k.replace('_', ' ')}: {listed(v)}" for k, v in contract["counts"].items())
    held = sum(bool(one["success"]) for one in contract["expectations"])
    title = f"Data contract: {held} of {len(contract['expectations'])} expectations hold"
    words = f"{row}: private identities, then public images"
    return [
        f"### Data: {escaped(row)}",
        f"{escaped(counts)}.{escaped(_copies_and_lists(contract))} "
        f"{_drawn(block)}Images are {size} × {size} pixels; "
        f"private from `{block['private']['reader']}`, "
        f"public from `{block['public']['reader']}` layout.",
        Pictures([Picture(f"figures/data/{row}.png", words)]),
        Fold(title, [_contract(contract)], opened=held < len(contract["expectations"])),
    ]


def _drawn(block: Mapping[str, Any]) -> str:
    most = block.get("images_each")
    return "" if most is None else f"Of each private person at most {most} images are drawn. "


def _copies_and_lists(contract: Mapping[str, Any]) -> str:
    """Pictures under several names, and the lists that said who goes where; empty: neither is."""
    sources = contract.get("sources", {})
    copies = contract.get("private_twins", 0), len(sources.get("public_copies", []))
    words = ""
    if any(copies):
        words += (
            f" Private images with a copy: {copies[0]}; copies left out of the public: {copies[1]}."
        )
    for one in sources.get("lists", []):
        words += f" {one['file']}: {one['kind']}, MD5 {one['md5']}."
    if "shuffled" in sources:
        words += f" Test images are a shuffle of all images: {sources['shuffled']['kind']} split"
        words += f"{', but for the copies, which are trained on' if copies[0] else ''}."
    if untested := sources.get("people_without_test"):
        words += f" People without a test image: {untested}; no test accuracy is of them."
    return words


def _contract(contract: Mapping[str, Any]) -> Table:
    heads = ("Table", "Column", "Expectation", "Bounds", "Unexpected / checked", "Result")
    return table("llpprp", heads, [_expectation(one) for one in contract["expectations"]])


def _expectation(one: Mapping[str, Any]) -> Line:
    words = str(one["expectation"]).removeprefix("expect_").replace("_", " ")
    for prefix in ("column values to ", "column ", "table "):
        words = words.removeprefix(prefix)
    bounds = ", ".join(_bound(key, value) for key, value in one["kwargs"].items())
    examples = f": {'; '.join(one['examples'])}" if one["examples"] else ""
    result = ("holds" if one["success"] else "BROKEN") + examples
    checked = f"{one['unexpected']} / {one['checked']}"
    entries = (one["suite"], one["column"] or "–", words, bounds, checked, result)
    return Line(entries, "" if one["success"] else "failed")


def _bound(key: str, value: Any) -> str:
    """A bound of an expectation; Great Expectations calls `mostly` the share that must hold."""
    if key == "mostly":
        return f"in {percent(value, 0)} or more" if value else "counted only, whatever is found"
    return f"{key.replace('_', ' ')} {listed(value)}"


def costs(found: Findings) -> list[Block]:
    """Time and memory of every training and attack."""
    stats = [
        (kind, row, one)
        for section, kind in KINDS.items()
        for row, one in found.inputs.stats[section].items()
    ]
    lines = [_cost(kind, row, one) for kind, row, one in stats]
    total, busy = (sum(float(one[key]) for *_, one in stats) for key in ("seconds", "cpu_seconds"))
    peak = max((float(one["peak_memory_mb"]) for *_, one in stats), default=0.0)
    lines.append(Line(("all", "", f"{total:.1f}", f"{busy:.1f}", f"{peak:.0f}", ""), "reference"))
    words = (
        f"{total / 60:.1f} minutes in all by the clock, one stage after another, and "
        f"{busy / 60:.1f} of the processor, all its cores together, as measured when each stage "
        "ran; a stage restored from the cache shows its first time."
    )
    heads = ("Stage", "Row", "Time (s)", "Processor (s)", "Peak memory (MB)", "Device")
    full = table("llrrrl", heads, lines)
    fold = Fold(f"{len(stats)} trainings and attacks", [full])
    return ["### Time and memory", words, fold]


def _cost(kind: str, row: str, stats: Mapping[str, Any]) -> Line:
    times = [f"{float(stats[key]):.1f}" for key in ("seconds", "cpu_seconds")]
    memory = f"{float(stats['peak_memory_mb']):.0f}"
    return Line((kind, row, *times, memory, str(stats["device"])))


def parameters(params: Mapping[str, Any]) -> Fold:
    """The parameters themselves, as the study used them."""
    rows = {"raw", "data", *results.TRAINED}
    blocks = {
        name: block
        for name, block in params.items()
        if name not in rows and isinstance(block, Mapping)
    }
    changed = {
        f"{section}.{row}": block["set"]
        for section in results.TRAINED
        for row, block in params[section].items()
        if "set" in block
    }
    shown = [(name, one) for name, one in (blocks | {"what rows change": changed}).items() if one]
    texts = [(name, json.dumps(block, indent=2, ensure_ascii=False)) for name, block in shown]
    return Fold(
        "Parameters of this study",
        [f"### {escaped(name)}\n\n```json\n{text}\n```" for name, text in texts],
    )


def deviations(found: Findings) -> list[Block]:
    """The document of deviations behind a click: no title, its headings two levels down."""
    lines = (found.inputs.deviations or "").strip().splitlines()
    body = lines[1:] if lines and lines[0].startswith("# ") else lines
    text = "\n".join(f"##{line}" if line.startswith("#") else line for line in body).strip()
    return [Fold("Deviations from the papers", [text])] if text else []
