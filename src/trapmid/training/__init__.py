"""How networks learn: the training loop and the pieces that several methods share."""
