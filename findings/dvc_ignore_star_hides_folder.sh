#!/usr/bin/env bash
# DVC 3.67.1 does not find a .dvc file that Git tracks, where .gitignore has `/data/*` and an exception.
#
# Valid input: .gitignore with `/data/*` and `!/data/*.dvc`, the usual way to keep a folder's content out
# of Git and its .dvc files in; data/faces.dvc, made by `dvc add` and added
# to Git without force. Seen: `dvc push` says that everything is up to date and sends nothing, and
# `dvc push data/faces` fails: the target is not there. DVC reads .gitignore by dulwich (1.2.21), which
# takes `/data/*` for the folder data/ itself, so it never looks inside; Git goes in and sees the
# exception. With `/data/?*`, which means the same to Git, DVC finds the file and pushes.
#
# Ends with 0 while that is so, with 1 once DVC behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check dvc==3.67.1 dulwich==1.2.21
unset PYTHONPATH
export PATH="$place/env/bin:$PATH" DVC_NO_ANALYTICS=1 HOME="$place"
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org

mkdir remote project
cd project
git init --quiet
dvc init --quiet
dvc remote add --quiet --default store "$place/remote"

pushed() { find "$place/remote" -type f | wc -l; }

mkdir -p data/faces
echo pixels > data/faces/one.txt
dvc add --quiet data/faces
printf '/data/*\n!/data/*.dvc\n' > .gitignore
git add .gitignore data/faces.dvc # Git takes it: it is no ignored file
git commit --quiet --message "faces"

dvc push --quiet || true
star=$(pushed)
dvc push data/faces > named.txt 2>&1 && named=0 || named=$?
echo "with /data/*:  'dvc push' sends $star files; 'dvc push data/faces' ends with $named: $(tail -n 1 named.txt)"

printf '/data/?*\n!/data/*.dvc\n' > .gitignore
dvc push --quiet
mark=$(pushed)
echo "with /data/?*: 'dvc push' sends $mark files"

[ "$star" -eq 0 ] && [ "$named" -ne 0 ] && [ "$mark" -eq 2 ]
