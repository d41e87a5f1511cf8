"""Judges of reconstructions that no attack and no target has met, one file each: class `Judge`."""
