"""Fixtures: the toy study, see `toy_study`."""

from toy_study import studied  # noqa: F401
