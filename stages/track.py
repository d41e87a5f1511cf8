"""Every result -> MLflow. Has no outs, so DVC runs it whenever a result changed or came back."""

from __future__ import annotations

import os
from pathlib import Path

import _stage
from trapmid.tracking.records import collect
from trapmid.tracking.track import track


def main() -> None:
    params = _stage.load_params()
    params.asked.add("")  # every value is logged
    study = collect(params, Path())
    # DVC_ROOT is the main checkout even inside `dvc exp run --temp`, whose folder is thrown away.
    home = Path(os.environ.get("DVC_ROOT", "."))
    tracked = track(study, home)
    if tracked is not None:
        print(f"track: {tracked.new} new runs, {tracked.reused} known ones; `make ui` shows them")


if __name__ == "__main__":
    _stage.run(main)
