"""Bricks without a role: networks that several methods share."""
