"""Data sets: making, reading, cropping and splitting them."""
