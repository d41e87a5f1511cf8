"""What params.yaml says: the blocks of methods, the rows of a study, the bounds of its checks."""
