#!/usr/bin/env bash
# DVC 3.67.1 does not look behind a link to a folder that stands inside a dependency.
#
# Valid input: a stage whose dependency is a folder, in which a subfolder is a symbolic link to
# another disk, as people link large sets of pictures. The stage's command reads through the link.
# Seen: dvc.lock records one file of two ("size: 8", "nfiles: 1": list.txt alone). After a change
# behind the link `dvc status` names the stage `itself`, whose dependency is a link as a whole, and
# not `inside`; `dvc repro` leaves inside.txt with the old picture ("one") and gives no warning:
#   itself:
#   	changed deps:
#   		modified:           linked
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

mkdir -p disk/pictures project/faces
echo one > disk/pictures/1.jpg
echo "1.jpg 7" > project/faces/list.txt
ln -s "$place/disk/pictures" project/faces/pictures # inside a dependency
ln -s "$place/disk" project/linked                  # is a dependency
cd project
dvc init --quiet --no-scm
cat > dvc.yaml << 'EOF'
stages:
  inside:
    cmd: cat faces/pictures/* > inside.txt
    deps: [faces]
    outs: [inside.txt]
  itself:
    cmd: cat linked/pictures/* > itself.txt
    deps: [linked]
    outs: [itself.txt]
EOF
dvc repro --quiet
grep --quiet one inside.txt
dvc --version
grep -A 7 "^  inside:" dvc.lock

echo two > "$place/disk/pictures/1.jpg"
echo "after a change behind both links:"
dvc status | tee status.txt
dvc repro --quiet
if grep --quiet one inside.txt && grep --quiet two itself.txt && ! grep --quiet inside: status.txt; then
  echo "as described: the stage 'inside' keeps its old result, 'itself' ran again"
else
  echo "DVC behaves otherwise now" >&2
  exit 1
fi
