"""Checkpoints that others published: their names in ours, and the files that rows can name."""
