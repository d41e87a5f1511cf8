"""Classifiers, one architecture a file: class `Network`."""
