"""From `profiles/<name>.yaml` to params.yaml.

params.yaml is the truth that every stage reads and that `dvc exp run -S` edits; a profile is only a
way to write it. One profile is complete; another names it as its `base` and says what differs. A
row of a profile says what cannot be derived; params.yaml has all of it, one row a line.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from trapmid.config.renamed import old_names

FOLDER = Path("profiles")

ROWS = (
    "raw",
    "data",
    "evaluators",
    "pretrained",
    "targets",
    "public_priors",
    "surrogates",
    "leaks",
    "signatures",
    "guided_priors",
    "attack_runs",
)
"""Sections made of rows: an overlay's are merged onto its base's, `x: null` takes one away."""

NO_DEFENSES = (
    *ROWS,
    "validation",
    "classifier_training",
    "prior_training",
    "surrogate_training",
    "attacks",
    "inversion",
    "evaluation",
    "checks",
    "gate",
)
"""Sections that are no block of a defence."""

CLASSIFIERS = ("evaluators", "pretrained", "targets")
"""Sections whose rows are trained classifiers, each with the `block` of its defence."""

FANNED = ("targets", "surrogates", "leaks", "signatures", "guided_priors", "attack_runs")
"""Sections whose rows are repeated for every seed: the row K becomes `K-<seed>`."""

IMPLIED: dict[str, dict[str, str]] = {
    "evaluators": {"method": "{defense}", "block": "{method}"},
    "pretrained": {"method": "{defense}", "block": "{method}"},
    "targets": {"defense": "{row}", "method": "{defense}", "block": "{method}"},
    "public_priors": {"method": "{row}"},
    "surrogates": {"surrogate": "{family}", "method": "{surrogate}"},
    "signatures": {"leak": "weights/none"},
    "guided_priors": {
        "method": "{family}",
        "queried_model": "models/targets/{target}",
        "side_information": "weights/none",
    },
    "attack_runs": {
        "attack": "{family}",
        "method": "{attack}",
        "queried_model": "models/targets/{target}",
        "side_information": "weights/none",
    },
}
"""What a row says that neither it nor the section's `defaults` say, in this order.

`row` is its name, `family` that name without the target's: what is before the star.
"""

STAR = "*"
"""A row with it in its name stands for one row per target."""

_ORDER = (
    "attack",
    "defense",
    "surrogate",
    "method",
    "block",
    "arch",
    "training",
    "target",
    "queried_model",
    "side_information",
    "leak",
    "top_n",
    "prior",
    "evaluator",
    "init",
    "data",
    "seed",
    "set",
)
"""In which order a row of params.yaml says what: the method, what it works on, where it starts."""

_BLOCKS = ("classifier_training", "prior_training", "surrogate_training", "attacks")
"""Sections that hold blocks of parameters by name."""

_OWN_KEYS = ("base", "defaults", "profile", "seeds")
_FILES = {
    "targets": "targets",
    "surrogates": "surrogates",
    "leaks": "leaks",
    "signatures": "signatures",
    "priors/guided": "guided_priors",
}
"""Folder under models -> the section whose rows make it."""
_PRODUCT = re.compile(rf"models/({'|'.join(_FILES)})/([^/.]+)(.*)")
_REMARK = re.compile(r"^(\w+):[^#'\"\n]*# (.*)$", re.MULTILINE)
_WIDTH = 80  # at which DVC breaks lines when `-S` writes the file anew


class ProfileError(ValueError):
    """A profile is wrong, or params.yaml must not be replaced; the message is one line."""


def compose(name: str, seeds: list[int] | None = None, folder: Path = FOLDER) -> str:
    """The text of params.yaml for a profile.

    Args:
        name: of `profiles/<name>.yaml`.
        seeds: instead of the profile's own.
        folder: where the profiles are.

    Raises:
        ProfileError: no such profile, an unknown key, a wrong seed or a reference to no row.
    """
    remarks: dict[str, str] = {}
    tree = _layered(name, folder, (), remarks)
    fanned = check_seeds(tree.get("seeds") if seeds is None else seeds, f"{name}: seeds")
    _check_keys(tree, name)
    _write_rows(tree, fanned, name)
    # Seeds first: `-S` writes lists anew, and loses the comment that follows one.
    tree.pop("seeds", None)
    tree.insert(0, "profile", name)
    tree.insert(0, "seeds", CommentedSeq(fanned))
    header = f"Profile `{name}`: written by `trapmid profile {name}` from profiles/{name}.yaml."
    if seeds is not None:
        header = header.replace(f"profile {name}`", f"profile {name} --seeds {_words(fanned)}`")
    return _text(_laid_out(tree, remarks, header))


def _write_rows(tree: CommentedMap, seeds: list[int], name: str) -> None:
    """Turns the rows of a profile into those of params.yaml, in place."""
    defaults = tree.pop("defaults", {})
    for section in ROWS:
        if section in FANNED[1:]:
            tree[section] = _of_each_target(tree, section, name)
        for row in () if section in ("raw", "data") else tree[section]:
            _complete(tree, section, row, defaults.get(section, {}), name)
    for section in FANNED:
        _check_references(tree, section, name)
    for section in FANNED:
        tree[section] = _fan_out(tree, section, seeds)


def defenses(params: Mapping[str, Any]) -> set[str]:
    """What a control may be called: a defence of a target, or a block that one could name."""
    blocks = {name for name, block in params.items() if isinstance(block, Mapping)}
    rows = [row for row in params["targets"].values() if isinstance(row, Mapping)]
    return blocks - set(NO_DEFENSES) | {str(row.get("defense")) for row in rows}


def check_replaceable(path: Path) -> None:
    """Refuses a params.yaml that somebody edited since `compose` made its text.

    Its own head tells: the profile may have changed, and so may the layout (`dvc exp run -S` writes
    the file anew, keeps comments, and changes values).

    Raises:
        ProfileError: the values at `path` are not those whose digest stands in its comments.
    """
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    try:
        digest = _digest(text)
    except YAMLError:
        digest = "no YAML"
    if f"As written: {digest}" not in text:
        raise ProfileError(
            f"{path}: edited since `trapmid profile` wrote it; --force replaces it all the same"
        )


def _digest(text: str) -> str:
    """Of the values, in their order, whatever the layout."""
    values = json.dumps(YAML(typ="safe").load(text))
    return hashlib.sha256(values.encode()).hexdigest()[:16]


def _layered(
    name: str, folder: Path, above: tuple[str, ...], remarks: dict[str, str]
) -> CommentedMap:
    """The profile over its base, and that over its own; `above`: who asked."""
    if name in above:
        raise ProfileError(f"{folder / name}.yaml: its bases lead back to it")
    overlay = _load(name, folder, remarks)
    base_name = overlay.pop("base", None)
    if base_name is None:
        for section in {*ROWS} & {*overlay}:
            overlay[section] = _merge_rows(CommentedMap(), overlay[section], f"{name}: {section}")
        return overlay
    base = _layered(str(base_name), folder, (*above, name), remarks)
    known = {*base, *_OWN_KEYS}
    for key, value in overlay.items():
        if key in ROWS:
            _merge_rows(base.setdefault(key, CommentedMap()), value, f"{name}: {key}")
        else:
            _merge(base, {key: value})
    rows = [row for section in CLASSIFIERS for row in (base.get(section) or {}).items()]
    named = {row.get("block", row.get("method", key)) for key, row in rows if row is not None}
    if unknown := sorted(set(overlay) - known - named):
        raise ProfileError(
            f"{folder / name}.yaml: unknown {unknown}; neither in {base_name}.yaml nor the `block` "
            "of a target"
        )
    return base


def _load(name: str, folder: Path, remarks: dict[str, str]) -> CommentedMap:
    """The content of a profile; adds the comments of its sections to `remarks`."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
        raise ProfileError(f"no profile {name!r} in {folder}/; there are {known}")
    try:
        text = path.read_text(encoding="utf-8")
        content = _round_trip().load(text)
    except YAMLError as error:
        raise ProfileError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, CommentedMap):
        raise ProfileError(f"{path}: must hold a mapping")
    for line in old_names(content):
        raise ProfileError(f"{path}: {line}")
    remarks |= dict(_REMARK.findall(text))
    return content


def _merge(base: CommentedMap, overlay: Mapping[str, Any]) -> None:
    for key, value in overlay.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            _merge(base[key], value)
        else:
            base[key] = value


def _merge_rows(base: CommentedMap, overlay: Any, where: str) -> CommentedMap:
    """Merges rows of `overlay` onto those of `base`, in place; null takes a row away.

    Null stays where a row with a star would otherwise make the row again.
    """
    if not isinstance(overlay, Mapping):
        raise ProfileError(f"{where} must be a mapping, is {overlay!r}")
    for row, block in overlay.items():
        if not isinstance(block, Mapping | None):
            raise ProfileError(f"{where}.{row}: must be a mapping, is {block!r}")
        if block is not None:
            _merge(base, {row: block})
    for row in (row for row, block in overlay.items() if block is None):
        there = base.pop(row, None)
        if any(_covers(star, row) for star in base):
            base[row] = None
        elif there is None:
            raise ProfileError(f"{where}.{row}: null takes a row away, and there is none")
    return base


def _covers(star: str, row: str) -> bool:
    """Whether the row with a star may make `row`."""
    before, found, after = star.partition(STAR)
    return bool(found) and row != star and row.startswith(before) and row.endswith(after)


def _check_keys(tree: CommentedMap, name: str) -> None:
    if missing := [section for section in ROWS if section not in tree]:
        raise ProfileError(f"{name}: no {', '.join(missing)}; an empty section is written {{}}")
    defaults = tree.get("defaults", {})
    for section, row in {"defaults": defaults, **(defaults or {})}.items():
        if not isinstance(row, Mapping):
            raise ProfileError(f"{name}: defaults: must be mappings, {section} is {row!r}")
    if unknown := sorted(set(defaults) - set(ROWS)):
        raise ProfileError(f"{name}: defaults: no section of rows {unknown}")


def _of_each_target(tree: CommentedMap, section: str, name: str) -> CommentedMap:
    """A row `x-*` becomes one per target, whose name replaces every star of the row's values.

    The row is attacked, or made, of the targets in its key `of`; without one, of all there are.
    A row that is written out, say for a target of another architecture, is merged onto its copy.
    """
    rows = CommentedMap()
    for row, block in tree[section].items():
        if STAR in row:
            for target in _targets(tree, block, f"{name}: {section}.{row}"):
                rows[row.replace(STAR, target)] = _copy(block, target)
    for row, block in tree[section].items():
        if block is None:
            rows.pop(row, None)
        elif STAR not in row:
            if "of" in block:
                where = f"{name}: {section}.{row}"
                raise ProfileError(f"{where}.of: belongs to a row with a star in its name")
            _merge(rows, {row: block})
    return _as_written(rows, tree[section], list(tree["targets"]))


def _targets(tree: CommentedMap, block: CommentedMap, where: str) -> list[str]:
    """Of which targets there is a copy of the row `block`, which has a star in its name."""
    targets = block.get("of", list(tree["targets"]))
    named = targets if isinstance(targets, list) else [targets]
    if unknown := [target for target in named if target not in tree["targets"]]:
        known = ", ".join(tree["targets"]) or "none"
        raise ProfileError(f"{where}.of: no {unknown}; there are {known}")
    return named


def _copy(block: CommentedMap, target: str) -> CommentedMap:
    """The row of one target, of a row with a star."""
    copied = copy.deepcopy(block)
    copied.pop("of", None)
    copied.setdefault("target", STAR)
    for key, value in copied.items():
        if isinstance(value, str):
            copied[key] = value.replace(STAR, target)
    return copied


def _as_written(rows: CommentedMap, section: CommentedMap, targets: list[str]) -> CommentedMap:
    """The rows in the order of the profile's: a row with a star where it stands."""
    order = [
        own
        for row in section
        for own in ([row.replace(STAR, target) for target in targets] if STAR in row else [row])
    ]
    return CommentedMap((row, rows[row]) for row in dict.fromkeys(order) if row in rows)


def _complete(
    tree: CommentedMap, section: str, row: str, defaults: Mapping[str, Any], name: str
) -> None:
    """Writes what a row leaves out, and puts its keys in order."""
    block = tree[section][row]
    for key, value in {**defaults, **_related(tree, section, row)}.items():
        block.setdefault(key, copy.deepcopy(value))
    names = {"row": row, "family": row.removesuffix(f"-{block.get('target')}")}
    for key, pattern in IMPLIED.get(section, {}).items():
        try:
            block.setdefault(key, pattern.format_map({**block, **names}))
        except KeyError as error:
            raise ProfileError(f"{name}: {section}.{row}: no {error}") from None
    tree[section][row] = CommentedMap((key, block[key]) for key in sorted(block, key=_order))


def _order(key: str) -> int:
    return _ORDER.index(key) if key in _ORDER else len(_ORDER)


def _related(tree: CommentedMap, section: str, row: str) -> dict[str, Any]:
    """What follows from other rows: the target's, or the guided prior's of the same name.

    An attack on a prior of its own searches that prior, and asks what the prior asked.
    """
    block = tree[section][row]
    target = tree["targets"].get(block.get("target"), {})
    found = {"data": target["data"]} if "data" in target else {}
    if section == "surrogates" and "arch" in target:
        found["arch"] = target["arch"]
    if section == "signatures" and block.get("target") in tree["leaks"]:
        found["leak"] = f"models/leaks/{block['target']}.pt"
    if section == "attack_runs" and row in tree["guided_priors"]:
        own = tree["guided_priors"][row]
        found |= {
            key: own[key] for key in ("queried_model", "side_information", "data") if key in own
        }
        found["prior"] = f"models/priors/guided/{row}"
    return found


def _check_references(tree: CommentedMap, section: str, name: str) -> None:
    for row, block in tree[section].items():
        if "seed" in block:
            raise ProfileError(f"{name}: {section}.{row}: `seed` comes from the profile's `seeds`")
        target = block.get("target")
        if target is not None and target not in tree["targets"]:
            known = ", ".join(tree["targets"])
            raise ProfileError(f"{name}: {section}.{row}.target: no {target!r}; there are {known}")
        for key, value in block.items():
            made = _PRODUCT.fullmatch(value) if isinstance(value, str) else None
            if made and made[2] not in (rows := tree[_FILES[made[1]]]):
                known = ", ".join(rows) or "none"
                raise ProfileError(
                    f"{name}: {section}.{row}.{key}: no {made[2]!r}; there are {known}"
                )


def check_seeds(value: Any, where: str) -> list[int]:
    """The seeds of a study.

    Raises:
        ProfileError: they are not distinct whole numbers from 0 up.
    """
    seeds = value if isinstance(value, list) else []
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in seeds)
    if not seeds or not whole or len(set(seeds)) != len(seeds):
        raise ProfileError(f"{where}: must be distinct whole numbers from 0 up, is {value!r}")
    return [int(seed) for seed in seeds]


def _fan_out(tree: CommentedMap, section: str, seeds: list[int]) -> CommentedMap:
    fanned = CommentedMap()
    for row, block in tree[section].items():
        for seed in seeds:
            copied = CommentedMap((k, _with_seed(k, v, seed)) for k, v in block.items())
            changes = copied.pop("set", None)
            copied["seed"] = seed
            if changes:
                copied["set"] = changes
            fanned[f"{row}-{seed}"] = copied
    return fanned


def _with_seed(key: str, value: Any, seed: int) -> Any:
    """A reference to a repeated row, made to name the copy of the same seed."""
    if key == "target":
        return f"{value}-{seed}"
    product = _PRODUCT.fullmatch(value) if isinstance(value, str) else None
    if product:
        return f"models/{product[1]}/{product[2]}-{seed}{product[3]}"
    return value


def _laid_out(tree: CommentedMap, remarks: Mapping[str, str], header: str) -> CommentedMap:
    """The values as a person reads them: a row a line, a comment a section, no other comment."""
    made = CommentedMap((key, _without_comments(value)) for key, value in tree.items())
    for section, content in made.items():
        if section in ROWS:
            for row in content.values():
                row.fa.set_flow_style()
        elif section in _BLOCKS:
            for name, block in content.items():
                _break_lines(f"  {name}", block)
        else:
            _break_lines(section, content)
    for section, remark in remarks.items():
        _explain(made, section, remark)
    mark = f"As written: {_digest(_text(made))}"
    made.yaml_set_start_comment(f"{header}\nEvery number that can change a result is here. {mark}")
    return made


def _break_lines(key: str, block: Any) -> None:
    """Gives every parameter a line where they do not fit one: `-S` then changes that one line."""
    if isinstance(block, CommentedMap) and len(_text(CommentedMap({key: block}))) > _WIDTH + 1:
        block.fa.set_block_style()


def _explain(tree: CommentedMap, section: str, remark: str) -> None:
    """Writes the comment of a section: above it, or beside one of a single line."""
    content = tree.get(section)
    if not isinstance(content, CommentedMap):
        return
    if content and content.fa.flow_style():
        tree.yaml_add_eol_comment(remark, section)
    else:
        tree.yaml_set_comment_before_after_key(section, before=f"\n{remark}" if content else remark)


def _without_comments(node: Any) -> Any:
    """A copy that is written in the same style, without the comments of the profile."""
    if isinstance(node, CommentedMap):
        made: Any = CommentedMap((key, _without_comments(value)) for key, value in node.items())
    elif isinstance(node, CommentedSeq):
        made = CommentedSeq(map(_without_comments, node))
    else:
        return node
    if node.fa.flow_style() or not isinstance(node, CommentedMap):
        made.fa.set_flow_style()
    else:
        made.fa.set_block_style()
    return made


def _round_trip() -> YAML:
    yaml = YAML()  # DVC's own settings
    yaml.default_flow_style = False
    yaml.width = 1_000  # a row is a line
    return yaml


def _text(tree: CommentedMap) -> str:
    stream = io.StringIO()
    _round_trip().dump(tree, stream)
    return stream.getvalue()


def _words(seeds: list[int]) -> str:
    return " ".join(map(str, seeds))
