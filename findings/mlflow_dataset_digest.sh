#!/usr/bin/env bash
# MLflow 3.17.2 gives two data sets one digest where they differ after row 10,000, and has no room for a
# SHA-256.
#
# Valid input: two frames of 20,000 rows that differ in row 15,000 alone, as mlflow.data.from_pandas and
# mlflow.data.from_numpy take them; and a Dataset whose digest is 64 hexadecimal digits. Expected: two
# digests, and the digest as given. Seen: one digest for both frames and one for both arrays, so that a
# run on changed data names the old data; and an error, because a digest has 36 characters at most: who
# brings a better digest than MLflow's has to cut it.
#
# Ends with 0 while that is so, with 1 once MLflow behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check mlflow==3.17.2
unset PYTHONPATH

cat > look.py << 'EOF'
import hashlib
import logging
import os
import sys

os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///store.db"
logging.disable(logging.INFO)
import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Dataset, DatasetInput

first = pd.DataFrame({"identity": range(20_000)})
second = first.copy()
second.loc[15_000, "identity"] = -1
frames = [mlflow.data.from_pandas(one).digest for one in (first, second)]
arrays = [mlflow.data.from_numpy(one.to_numpy()).digest for one in (first, second)]
print("frames:", *frames, "arrays:", *arrays)

mlflow.set_experiment("digests")
with mlflow.start_run() as run:
    known = {}
    for length in (36, 64):
        digest = hashlib.sha256(b"faces").hexdigest()[:length]
        given = DatasetInput(Dataset("faces", digest, "local", "{}"))
        try:
            mlflow.MlflowClient().log_inputs(run.info.run_id, [given])
            known[length] = "kept"
        except mlflow.exceptions.MlflowException as error:
            known[length] = str(error)
        print(length, "characters:", known[length])
one_digest = frames[0] == frames[1] and arrays[0] == arrays[1]
refused = known[36] == "kept" and "maximum length of 36" in known[64]
sys.exit(not (one_digest and refused))
EOF
env/bin/python look.py
