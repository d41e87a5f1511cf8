"""A method's block with what one row changes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Layered(dict[str, Any]):
    """A block with a row's changes merged onto it; it knows where each of its values stands.

    Mappings are merged key by key; anything else, null included, takes the place of what was there.

    Args:
        block: the parameters of a method, and `where` they stand in params.yaml.
        changes: what a row says instead, and `above`, where that stands.
    """

    def __init__(
        self, block: Mapping[str, Any], where: str, changes: Mapping[str, Any], above: str
    ) -> None:
        super().__init__(block)
        self.where, self._changes, self._above = where, changes, above
        for key, value in changes.items():
            old = block.get(key)
            if isinstance(old, Mapping) and isinstance(value, Mapping):
                value = Layered(old, f"{where}.{key}", value, f"{above}.{key}")
            self[key] = value

    def place(self, key: str) -> str:
        """The dotted path of a value, or of the mapping's part that the row changes."""
        return f"{self._above if self.changes(key) else self.where}.{key}"

    def changes(self, key: str) -> bool:
        """Whether the row says something of this key."""
        return key in self._changes

    def plain(self) -> dict[str, Any]:
        """The same values in ordinary dictionaries, as a file may keep them."""
        return {k: v.plain() if isinstance(v, Layered) else v for k, v in self.items()}
