"""Ways to stand in for a target, one a file: class `Surrogate`; its fields are its block."""
