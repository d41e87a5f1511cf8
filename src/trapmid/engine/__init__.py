"""Runs DVC's graph on an engine: one driver keeps DVC's books, executors run commands alone."""
