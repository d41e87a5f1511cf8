"""Ways of learning faces, one a file: class `Training`, and the `Prior` it makes."""
