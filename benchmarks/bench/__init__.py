"""What every hot path costs on this machine, beside the published procedure and beside the limit.

    trapmid bench [--quick] [--only PATTERN] [--out FILE.json]

A path is measured three times over:

- ours, as a study runs it;
- the reference: the procedure as it was published, waste included, written from descriptions of
  the released code (`bench/plain`). Nothing but this benchmark and its tests uses it;
- the limit: the operations and bytes that the maths asks for, over the rates at which this machine
  multiplies matrices and copies memory, measured in the same run.

Ours and the reference run in turn and draw the same random numbers, so that a test can hold one to
the other: where the maths is the same, so are the numbers (`tests/benchmarks/test_bench.py`).
Images are random and weights untrained: speed does not depend on them.
"""
