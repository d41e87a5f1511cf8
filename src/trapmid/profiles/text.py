"""The text of params.yaml: its layout, its comments, and the digest that shows an edit."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from trapmid.profiles.sections import BLOCKS, ROWS, ProfileError

_WIDTH = 80  # at which DVC breaks lines when `-S` writes the file anew


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
    values = json.dumps(YAML(typ="safe").load(text), default=str)  # a date is no JSON
    return hashlib.sha256(values.encode()).hexdigest()[:16]


def laid_out(tree: CommentedMap, remarks: Mapping[str, str], header: str) -> CommentedMap:
    """The values as a person reads them: a row a line, a comment a section, no other comment."""
    made = CommentedMap((key, _without_comments(value)) for key, value in tree.items())
    for section, content in made.items():
        if section in ROWS:
            for row in content.values():
                row.fa.set_flow_style()
        elif section in BLOCKS:
            for name, block in content.items():
                _break_lines(f"  {name}", block)
        else:
            _break_lines(section, content)
    for section, remark in remarks.items():
        _explain(made, section, remark)
    mark = f"As written: {_digest(written(made))}"
    made.yaml_set_start_comment(f"{header}\nEvery number that can change a result is here. {mark}")
    return made


def _break_lines(key: str, block: Any) -> None:
    """Gives every parameter a line where they do not fit one: `-S` then changes that one line."""
    if isinstance(block, CommentedMap) and len(written(CommentedMap({key: block}))) > _WIDTH + 1:
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


def round_trip() -> YAML:
    """YAML that keeps order, styles and comments, in DVC's own settings."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 1_000  # a row is a line
    return yaml


def written(tree: CommentedMap) -> str:
    """The text of a tree."""
    stream = io.StringIO()
    round_trip().dump(tree, stream)
    return stream.getvalue()
