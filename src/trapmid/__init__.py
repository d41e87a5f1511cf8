"""A reproducible lab for model-inversion attacks and Trap-MID's trapdoor defence."""
