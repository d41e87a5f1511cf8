"""Trained targets as models of MLflow's: the checkpoint, and a file that says how it is loaded.

MLflow's own flavour for PyTorch pickles, or exports a graph. A checkpoint is loaded strictly and
without pickle, so MLflow is told to load it by `trapmid.tracking.served`.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trapmid.tracking.inputs import counts
from trapmid.tracking.values import tensor_spec

FOLDER = "model"
"""The folder of a run's files; `mlflow.pyfunc.load_model("runs:/ID/model")` names it."""

DESCRIPTION = "MLmodel"
"""The file in it that MLflow reads."""

CHECKPOINT = "model.pt"
"""The file in it with the weights."""

_FLAVORS = {
    "python_function": {
        "loader_module": "trapmid.tracking.served",
        "data": CHECKPOINT,
        "python_version": platform.python_version(),
    }
}


@dataclass(frozen=True, kw_only=True)
class Model:
    """A trained classifier."""

    file: Path  # its checkpoint
    image_size: int
    classes: int | None  # None: not known

    @property
    def size(self) -> int:
        """Of the checkpoint, in bytes."""
        return self.file.stat().st_size

    def tags(self) -> dict[str, str]:
        """By which MLflow's pages know that a run has a model; they ask for a time."""
        made = datetime.fromtimestamp(self.file.stat().st_mtime, UTC).isoformat(" ", "seconds")
        history = {"artifact_path": FOLDER, "utc_time_created": made, "flavors": _FLAVORS}
        return {"mlflow.log-model.history": json.dumps([history])}

    def description(self) -> dict[str, Any]:
        """The content of the file MLmodel: how to load, and the signature.

        Images (N, 3, S, S) float32 in [0, 1] come in, logits (N, C) float32 go out.
        """
        size = self.image_size
        return {
            "flavors": _FLAVORS,
            "signature": {
                "inputs": tensor_spec("float32", -1, 3, size, size),
                "outputs": tensor_spec("float32", -1, self.classes or -1),
                "params": None,
            },
        }


def target_model(params: Mapping[str, Any], root: Path, row: str) -> Model | None:
    """The model of a row of `targets`; None: the checkpoint is not here.

    Raises:
        ResultError: the contract of its data is malformed.
    """
    file = root / "models" / "targets" / row / CHECKPOINT
    if not file.exists():
        return None
    data = params["targets"][row]["data"]
    size = int(params["data"][data]["image_size"])
    return Model(file=file, image_size=size, classes=counts(root, data).get("identities"))
