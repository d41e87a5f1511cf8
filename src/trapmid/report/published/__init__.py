"""What the paper reports, and how a study's numbers stand to it."""
