"""The costs of the paper's profile on one GPU, measured in one call of at most nine minutes.

    benchmarks/on_gpu.sh [--toy] [--seconds 520] [--parts machine tests ...] [--out FOLDER]

A part is a module with a function `measurements`. It runs in a process of its own, with a time
limit, so that a slow part costs no other. A measurement that has ended is not repeated: its rows
lie in build/on_gpu/parts and in `<date>-<device>.json` among the results, and both count only for
the same device and the same code. Images are random numbers and weights are untrained: speed and
memory do not depend on them. Accuracies do, so none is written.

A result is {name, value, unit, device, torch, precision, date, ...}. `toy: true` marks numbers of
a toy run, which are no results.
"""
