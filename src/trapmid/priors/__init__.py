"""Ways of learning faces, one a file: class `Recipe`, and the `Prior` it makes."""
