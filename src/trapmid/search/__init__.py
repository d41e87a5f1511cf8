"""How an attack looks for images: latents, the objective over a batch, and the loop around it."""
