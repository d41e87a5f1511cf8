#!/usr/bin/env bash
# DVC 3.67.1 with ruamel.yaml's C parser: `dvc exp run -S` cannot change any parameter where params.yaml
# holds, in a mapping in braces, a quoted text with a colon after one letter.
#
# Valid input: `lr: 0.1`, and a row in braces whose file is "D:/faces.zip", which no option touches; YAML
# parsers read it, `dvc repro` runs with it. Expected: `-S lr=0.2` changes lr. Seen: DVC writes the row
# anew without the quotes, which YAML 1.2 allows and the C parser (ruamel.yaml.clib, of YAML 1.1) does not
# read: "found unexpected ':'", at a line that the user did not change, and a non-zero end; params.yaml
# stays as it was. Without the C parser it works, and with the same row as an indented block.
#
# Ends with 0 while that is so, with 1 once DVC behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check dvc==3.67.1 \
  ruamel.yaml==0.19.1 ruamel.yaml.clib==0.2.15
export PATH="$place/env/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$place/site"
unset PYTHONPATH

git init --quiet project
cd project
git config user.email nobody@example.org
git config user.name nobody
dvc init --quiet
cat > dvc.yaml << 'EOF'
stages:
  train:
    cmd: cp params.yaml out.txt
    params: [lr]
    outs: [out.txt]
EOF

# The same row twice: in braces, and as a block.
printf 'lr: 0.1\nrows:\n  one: {file: "D:/faces.zip", size: 64}\n' > braces.yaml
printf 'lr: 0.1\nrows:\n  one:\n    file: "D:/faces.zip"\n    size: 64\n' > block.yaml
for kind in braces block; do
  cp "$kind.yaml" params.yaml
  dvc repro --quiet
  git add --all
  git commit --quiet --message "$kind"
  code=0
  printed=$(dvc exp run -S lr=0.2 2>&1) || code=$?
  echo "$kind: exit code $code; $(grep -m 1 unexpected <<< "$printed" || echo 'no complaint')"
  echo "  lr is $(sed -n 's/^lr: //p' params.yaml)"
  if [ "$kind" = braces ]; then
    [ "$code" != 0 ] || { echo "it was read"; exit 1; }
    cmp -s params.yaml braces.yaml || { echo "params.yaml was changed"; exit 1; }
    grep -q "found unexpected ':'" <<< "$printed" || { echo "another complaint"; exit 1; }
  else
    [ "$code" = 0 ] && grep -qx 'lr: 0.2' params.yaml || { echo "the block fails, too"; exit 1; }
  fi
done
echo "as described"
