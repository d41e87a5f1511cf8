"""GMI (Zhang et al., CVPR 2020) on a torch model of your own, with images that are in memory.

The attacker learns a prior from public faces of other people; a second network, trained by the
library on the private images, judges the reconstructions. Writes grid.png into this folder.
"""

from pathlib import Path

from trapmid.audit.in_memory import attack

import torch
from _drawn import ROOT, faces, private, your_network

torch.manual_seed(0)  # of your own training; the library draws from streams of its seed
data, public = private(), faces(range(1000, 1064), range(1)).images
found = attack(your_network(data.train), data, public, ROOT / "weights/faces32/gmi.pt")
print(found)
found.save_grid(Path("grid.png"))
