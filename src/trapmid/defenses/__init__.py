"""Defences, one a file: class `Defense`, whose fields are its block of params.yaml."""
