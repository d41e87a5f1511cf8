#!/usr/bin/env bash
# torchattacks 3.5.1 puts a frozen batch normalisation back to training after each attack.
#
# Valid input: a network in training mode, one of whose layers, a batch normalisation, was set to eval(),
# as fine-tuning with fixed statistics does; torchattacks.PGD makes adversarial examples of it for
# adversarial training. Expected: each layer has its mode again afterwards. Seen: the attack sets
# everything to eval and then calls train() on the whole network, since it noted the mode of its top
# alone. The attack itself does not move the layer's statistics; the next batch of the training does,
# without a word. Without an attack they stay. A dropout that was switched off is on again likewise; a
# network that is in eval mode as a whole stays there.
#
# Ends with 0 while that is so, with 1 once torchattacks behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  torchattacks==3.5.1 torch==2.14.1 torchvision==0.29.1 scipy==1.17.1 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import copy
import sys

import torch
import torchattacks
from torch import nn

torch.manual_seed(0)
whole = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(288, 5)
)
images, labels = torch.rand(16, 3, 8, 8), torch.arange(16) % 5
NORM, DROPOUT = 1, 4


def after(attacked):
    """Modes of network and frozen layers; how far the statistics moved in the attack, in all."""
    network = copy.deepcopy(whole).train()
    network[NORM].eval()
    network[DROPOUT].eval()
    start = network[NORM].running_mean.clone()
    if attacked:
        torchattacks.PGD(network, eps=8 / 255, alpha=2 / 255, steps=2)(images, labels)
    between = network[NORM].running_mean.clone()
    modes = network.training, network[NORM].training, network[DROPOUT].training
    network(images)  # the next batch of the training
    moved = [float((network[NORM].running_mean - old).abs().max()) for old in (start, between)]
    return modes, float((between - start).abs().max()), moved[0]


alone, attacked = after(False), after(True)
for name, (modes, during, in_all) in (("no attack", alone), ("after PGD", attacked)):
    print(
        f"{name}: network, normalisation, dropout in training: {modes};",
        f"statistics moved by {during:.4f} in the attack, {in_all:.4f} with the next batch",
    )
still = copy.deepcopy(whole).eval()
torchattacks.PGD(still, steps=2)(images, labels)
print("a network in eval mode is in training afterwards:", still.training)
as_described = (
    alone == ((True, False, False), 0, 0)
    and attacked[:2] == ((True, True, True), 0)
    and attacked[2] > 0.001
    and not any(layer.training for layer in still.modules())
)
sys.exit(not as_described)
EOF
env/bin/python look.py
