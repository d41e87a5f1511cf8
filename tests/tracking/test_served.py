"""A target as a model of MLflow's."""

from __future__ import annotations

import warnings

import pytest
import torch
from stores import by_row

from toy import images, runtime
from trapmid.artifacts import classifiers
from trapmid.artifacts.checkpoints import CheckpointError

# MLflow 3 and SQLAlchemy 2.1 disagree about names that both will drop; nothing of ours is meant.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # its engine keeps the file open
]


@pytest.mark.slow
def test_the_model_of_a_target_is_loaded_by_mlflow(place, home):
    """From the folder that the server serves, without pickle, and checked by its signature."""
    with warnings.catch_warnings():  # MLflow's own, of its type hints
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    uri = by_row(home, "targets")["trapmid-0"].info.artifact_uri
    folder = home / "mlartifacts" / uri.removeprefix("mlflow-artifacts:/") / "model"
    checkpoint = place / "models/targets/trapmid-0/model.pt"
    model = mlflow.pyfunc.load_model(str(folder))
    x = images(5, size=32)
    expected = classifiers.load(checkpoint, runtime()).model(x).logits
    assert torch.equal(torch.from_numpy(model.predict(x.numpy())), expected)
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, 3, 32, 32)
    assert model.metadata.signature.outputs.inputs[0].shape == (-1, 20)
    with pytest.raises(MlflowException, match="Shape of input"):
        model.predict(images(5, size=16).numpy())
    (folder / "model.pt").unlink()
    (folder / "model.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError):
        mlflow.pyfunc.load_model(str(folder))
