"""What evaluators, targets and attacks are worth: tensors in, typed scores out."""
