"""What a study will take: counts of its work, times throughputs that were measured."""
