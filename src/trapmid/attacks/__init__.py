"""Attacks, one a file: class `Attack`, whose fields are its block under `attacks`."""
