#!/usr/bin/env bash
# `dvc repro --glob` of DVC 3.67.1 whose pattern matches no stage runs every stage.
#
# Valid input: a dvc.yaml of two stages, and a pattern with a slip of the pen. A name without `--glob` that is no stage
# is an error. Expected: an error, or nothing. Seen: both stages run, and DVC ends with 0.
#
# Ends with 0 while that is so, with 1 once DVC behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check dvc==3.67.1
export PATH="$place/env/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$place/site"
unset PYTHONPATH

mkdir project
cd project
dvc init --quiet --no-scm
cat > dvc.yaml <<'YAML'
stages:
  train: {cmd: echo model > model.txt, outs: [model.txt]}
  test: {cmd: echo score > score.txt, deps: [model.txt], outs: [score.txt]}
YAML
dvc repro --quiet trian 2> error.txt && { echo "a wrong name is no error"; exit 1; }
cat error.txt
[ ! -e model.txt ]

dvc repro --glob 'trian*' || { echo "DVC refuses a pattern without a match"; exit 1; }
[ -e model.txt ] && [ -e score.txt ] || { echo "DVC runs nothing"; exit 1; }
echo "as described: a pattern that matches nothing ran the whole graph"
