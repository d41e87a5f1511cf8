"""Adaptive terms (PLG-MI+ and the like) need signatures, which a row's side information must have.

Students and signatures take minutes to hours to make, and a search without what it needs would be
refused when they have been made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trapmid.config import params
from trapmid.profiles.references import made_by

_NOTHING = "weights/none"


def problems(content: Mapping[str, Any]) -> Iterator[str]:
    """Rows whose side information lacks what their terms need, one line each.

    Args:
        content: a params.yaml in which every row is complete and what it names is there.
    """
    for section in ("guided_priors", "attack_runs"):
        for name in content[section]:
            adaptive = params.of_row(content, section, name).get("adaptive")
            if adaptive is not None:
                yield from _row(content, f"{section}.{name}", content[section][name], adaptive)


def _row(
    content: Mapping[str, Any], place: str, row: Mapping[str, Any], adaptive: Mapping[str, float]
) -> Iterator[str]:
    of_trapdoor, of_class = (adaptive[f"{key}_weight"] != 0 for key in ("trapdoor", "auxiliary"))
    made = made_by(row["side_information"])
    if made is None:
        if of_trapdoor or of_class:
            yield (
                f"{place}.side_information: {row['side_information']!r} knows no signature, which "
                "the weights of adaptive need; name a row of signatures"
            )
    elif made.section == "surrogates":
        if of_trapdoor:
            yield (
                f"{place}: adaptive.trapdoor_weight must be 0 where students are the side "
                "information: they know no trapdoor's signature"
            )
        block = params.of_row(content, "surrogates", made.row)
        if of_class and block.get("signature_images") is None:
            yield (
                f"{place}: adaptive.auxiliary_weight needs surrogates.{made.row} to keep the "
                f"features of each class: signature_images (of {block.where}) must be a number"
            )
    elif of_trapdoor:
        known = content["signatures"][made.row]
        if known["leak"] == _NOTHING and known["inverted"] is None:
            yield (
                f"{place}: adaptive.trapdoor_weight needs the signatures of a trapdoor, and "
                f"signatures.{made.row} has neither a leak nor inverted"
            )
