#!/usr/bin/env bash
# torch 2.14.1 takes a negative label_smoothing, and computes plain cross-entropy without a word.
#
# Valid input: logits, labels and label_smoothing=-0.05, the value of the defence NegLS (negative label
# smoothing). Expected: the formula of smoothing with a negative share, or a refusal as of 1.5. Seen:
# the plain cross-entropy to the last bit, from F.cross_entropy and nn.CrossEntropyLoss, for any
# negative value. A classifier that was trained this way has no defence, and nothing says so.
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
import sys

import torch
from torch.nn import functional as F

torch.manual_seed(0)
logits, labels = torch.randn(8, 10), torch.arange(8)
plain = F.cross_entropy(logits, labels)
logs = logits.log_softmax(1)
same = True
for share in (-0.05, -0.5, -1.0):
    found = F.cross_entropy(logits, labels, label_smoothing=share)
    module = torch.nn.CrossEntropyLoss(label_smoothing=share)(logits, labels)
    formula = (1 - share) * plain - share * logs.mean()
    print(f"{share:5}: {found:.6f}, plain {plain:.6f}, by the formula {formula:.6f}")
    same = same and found == plain and module == plain and abs(formula - plain) > 1e-3
try:
    F.cross_entropy(logits, labels, label_smoothing=1.5)
    refused = False
except RuntimeError as error:
    print("  1.5:", str(error).splitlines()[0])
    refused = True
sys.exit(not (same and refused))
EOF
env/bin/python look.py
