#!/usr/bin/env bash
# DVC 3.67.1 takes a metrics file whose top is a JSON list, and shows none of its numbers.
#
# Valid input: a stage with two `metrics` files of equal content, one as a mapping, one as a list of
# that one mapping. Expected: a refusal, or the numbers by index. Seen: no warning and exit code 0;
# `dvc metrics show` prints the list's file with dashes, its JSON gives it the list itself, and
# `dvc exp show` has a column for the mapping's number and none for the list's. The file is in the
# run cache all the same: after a change and back it is restored, not made again.
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

git init --quiet project
cd project
git config user.email nobody@example.org
git config user.name nobody
dvc init --quiet
cat > make.sh << 'EOF'
echo ran >> runs.log
printf '{"mapped": %s}' "$(cat value.txt)" > mapping.json
printf '[{"listed": %s}]' "$(cat value.txt)" > list.json
EOF
cat > dvc.yaml << 'EOF'
stages:
  score:
    cmd: sh make.sh
    deps: [value.txt]
    metrics:
      - mapping.json: {cache: false}
      - list.json: {cache: false}
EOF
echo runs.log > .gitignore
echo 1 > value.txt
dvc repro --quiet
git add --all
git commit --quiet --message "scores"

dvc metrics show
head=$(dvc exp show --csv | head -n 1)
echo "columns of exp show: $head"
echo 2 > value.txt && dvc repro --quiet
echo 1 > value.txt && dvc repro --quiet
echo "runs: $(wc -l < runs.log), list.json: $(cat list.json)"

case "$head" in *mapped*) ;; *) echo "the mapping's number is missing"; exit 1 ;; esac
case "$head" in *listed*) echo "the list's number is shown"; exit 1 ;; *) ;; esac
[ "$(wc -l < runs.log)" = 2 ] || { echo "the run cache did not restore"; exit 1; }
[ "$(cat list.json)" = '[{"listed": 1}]' ] || { echo "list.json was not restored"; exit 1; }
echo "as described"
