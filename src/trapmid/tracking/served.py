"""How MLflow loads a trained classifier: it imports this module by the name in MLmodel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from trapmid.artifacts import classifiers
from trapmid.runtime import Runtime, choose_device
from trapmid.types import Target


class Served:
    """What MLflow asks for predictions."""

    def __init__(self, model: Target, rt: Runtime) -> None:
        self._model = model
        self._rt = rt

    def predict(self, images: Any, params: Any = None) -> Any:
        """Logits (N, C) float32 of images (N, 3, S, S) float32 in [0, 1], both NumPy arrays."""
        del params  # a classifier has none
        batch = torch.from_numpy(np.asarray(images, dtype=np.float32)).to(self._rt.device)
        with torch.no_grad():
            return self._model(batch).logits.float().cpu().numpy()


def _load_pyfunc(path: str) -> Served:
    """By MLflow's convention, of the checkpoint `path`; CheckpointError: see `classifiers.load`."""
    rt = Runtime(device=choose_device(), seed=0, precision="fp32")
    return Served(classifiers.load(Path(path), rt).model, rt)
