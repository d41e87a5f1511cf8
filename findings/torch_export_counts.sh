#!/usr/bin/env bash
# torch 2.14.1's torch.export.save gives one model other bytes each time where it asks an exported program.
#
# Valid input: a module that asks the module of an exported program and puts its outputs in another order,
# exported and saved twice in one process, with the same weights and the same example. Expected: the same
# bytes, as of a plain module saved twice. Seen: files of one size that differ in model.json, where the
# stack trace of every node names the generated code of the program as <eval_with_key>.N, and N counts up
# in the process. A cache that knows models by their digests takes the second for another model, and
# trains and attacks again. Without the nodes' `stack_trace` the bytes are equal.
#
# Ends with 0 while that is so, with 1 once torch behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torch==2.14.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import io
import re
import sys
import zipfile

import torch
from torch import nn


class Reordered(nn.Module):
    def __init__(self, asked):
        super().__init__()
        self.asked = asked
        self.register_buffer("order", torch.tensor([2, 0, 1]))

    def train(self, mode=True):
        return self

    def forward(self, x):
        return self.asked(x).index_select(1, self.order)


def saved(program):
    stream = io.BytesIO()
    torch.export.save(program, stream)
    return stream.getvalue()


def names(content):
    """The generated code that model.json names."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    (file,) = [name for name in archive.namelist() if name.endswith("model.json")]
    return sorted(set(re.findall(r"<eval_with_key>\.\d+", archive.read(file).decode())))


torch.manual_seed(0)
plain, example = nn.Linear(4, 3).eval(), (torch.rand(2, 4),)
base = torch.export.export(plain, example)
alike = saved(torch.export.export(plain, example)) == saved(torch.export.export(plain, example))
twice = [torch.export.export(Reordered(base.module()), example) for _ in range(2)]
first, second = map(saved, twice)
print("a plain module, saved twice: equal", alike)
print("around a program, saved twice: equal", first == second, len(first), len(second), "bytes")
print("named:", names(first), names(second))
answers = [program.module()(example[0]) for program in twice]
print("same answers", torch.equal(*answers))
for program in twice:
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
without = [saved(program) for program in twice]
print("without stack traces: equal", without[0] == without[1])
shown = names(first) != names(second) and bool(names(first)) and torch.equal(*answers)
sys.exit(not (alike and first != second and shown and without[0] == without[1]))
EOF
env/bin/python look.py
