"""The files of a study, and how they are read back: networks, priors, side information, scores."""
