"""The hot paths by kind: each module gives what a study does, and the reference beside it."""
