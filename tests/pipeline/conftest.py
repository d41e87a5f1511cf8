"""Fixtures: the toy study, see `toy_study`."""

from toy_study import audited, studied, study  # noqa: F401
