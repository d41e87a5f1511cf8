#!/usr/bin/env bash
# Opacus 1.6.0's ModuleValidator.fix makes a network of 32 embedding numbers answer the same for every face.
#
# Valid input: a classifier with BatchNorm1d on an embedding of 8, 16, 32 or 64 numbers, as recognisers have one before
# their last layer. Opacus refuses batch normalisation and offers `fix`. Expected: a normalisation that lets
# the faces through, or a refusal. Seen: BatchNorm1d(32) becomes GroupNorm(32, 32), as many groups as numbers: each number
# is normalised by itself, and what is left is 0 (a rounding error). `is_valid` says yes, PrivacyEngine takes the
# network, and epsilon is what it would be; all people get one answer, before and after training.
# It is so for every power of two up to 32, where the groups are as many as the numbers; with 64 there are two
# numbers a group, and the network learns. torch's GroupNorm refuses this of a batch of one image alone. With
# fix(..., num_groups=1) the 32 numbers learn, too. So a study of privacy against utility blames DP-SGD for chance.
#
#   embedding of  8               GroupNorm(8, 8), valid True, answers differ by 0.0000, 10% right at epsilon 4.59
#   embedding of 32               GroupNorm(32, 32), valid True, answers differ by 0.0000, 10% right at epsilon 4.59
#   embedding of 64               GroupNorm(32, 64), valid True, answers differ by 0.8281, 100% right at epsilon 4.59
#   embedding of 32 num_groups=1  GroupNorm(1, 32), valid True, answers differ by 1.0149, 100% right at epsilon 4.59
#
# Ends with 0 while that is so, with 1 once Opacus or torch behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  opacus==1.6.0 torch==2.14.1 scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import sys
import warnings

import torch
from opacus import PrivacyEngine
from opacus.validators import ModuleValidator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")  # of hooks, and that the noise is of a seed
torch.manual_seed(0)
PEOPLE, EACH, EPOCHS = 10, 200, 10
labels = torch.arange(PEOPLE * EACH) % PEOPLE
faces = (torch.rand(PEOPLE, 64)[labels] + 0.2 * torch.randn(len(labels), 64)).clamp(0, 1)


def look(width, **options):
    """The layer that came in, whether it is valid, how far answers differ before and after DP-SGD, accuracy."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, PEOPLE)
    )
    assert not ModuleValidator.is_valid(network)
    network = ModuleValidator.fix(network, **options)
    norm, valid = network[1], ModuleValidator.is_valid(network)
    answers = network(faces)
    apart = float((answers - answers[:1]).abs().max())
    engine = PrivacyEngine(accountant="rdp")
    network, optimizer, batches = engine.make_private(
        module=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.5),
        data_loader=DataLoader(TensorDataset(faces, labels), batch_size=100),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
    )
    for _ in range(EPOCHS):
        for images, truth in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), truth).backward()
            optimizer.step()
    answers = network.eval()(faces)
    right = float((answers.argmax(1) == labels).float().mean())
    still = float((answers - answers[:1]).abs().max())
    name = ", ".join(f"{option}={value}" for option, value in options.items())
    print(
        f"embedding of {width:2} {name:13} GroupNorm({norm.num_groups}, {norm.num_channels}),",
        f"valid {valid}, answers differ by {apart:.4f}, {right:.0%} right at epsilon {engine.get_epsilon(1e-4):.2f}",
    )
    return norm.num_groups, valid, apart, still, right


erased = [look(width) for width in (8, 16, 32)]
whole = [look(64), look(32, num_groups=1)]
try:
    nn.GroupNorm(32, 32)(faces[:1, :32])
    refused = False
except ValueError as error:
    print("GroupNorm(32, 32) of one image:", error)
    refused = True
as_described = (
    [one[0] for one in erased] == [8, 16, 32]
    and all(valid for _, valid, *_ in erased + whole)
    and all(apart < 1e-3 and still < 1e-3 for _, _, apart, still, _ in erased)
    and all(right < 1.5 / PEOPLE for *_, right in erased)
    and all(apart > 0.1 and right > 0.8 for _, _, apart, _, right in whole)
    and refused
)
sys.exit(not as_described)
EOF
env/bin/python look.py
