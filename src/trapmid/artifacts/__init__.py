"""What a study leaves on disk, and how it is read back: networks, priors, knowledge, results."""
