"""How a profile becomes params.yaml, and what is checked before anything runs."""
