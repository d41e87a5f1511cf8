#!/usr/bin/env bash
# DVC 3.67.1 that is ended by SIGTERM leaves its stage's command running, and a second `dvc repro` starts the
# same command beside it.
#
# Valid input: one stage that takes ten seconds, as trainings take hours. SIGTERM is what a cluster's scheduler sends
# before it takes a machine back, and what `kill` and `timeout` send. Expected: the command ends with DVC, or the next
# `dvc repro` says that it is still running. Seen: DVC ends at once with 143, the command runs on under another parent;
# .dvc/tmp/rwlock still names the process that is gone, which the next `dvc repro` takes for free. So the
# command runs twice at a time in one folder: log has begin, begin, end, end. DVC records the second one's output while
# the first one's command may still write it.
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
  train:
    cmd: sh -c 'echo begin >> log; sleep 20; echo model > model.txt; echo end >> log'
    outs: [model.txt]
YAML

dvc repro > first.txt 2>&1 &
first=$!
until [ -s log ]; do sleep 0.2; done
kill -TERM "$first"
code=0
wait "$first" || code=$?
echo "the first dvc repro ended with $code; the log of its command, a second later:"
sleep 1
cat log
[ "$code" = 143 ] && [ "$(cat log)" = begin ] || { echo "DVC waited, or its command ended"; exit 1; }

dvc repro > second.txt 2>&1
echo "the log after a second dvc repro:"
cat log
[ "$(tr '\n' ' ' < log)" = "begin begin end end " ] || { echo "no second command beside the first"; exit 1; }
echo "as described: one command ran twice at a time"
