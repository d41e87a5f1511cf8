#!/usr/bin/env bash
# DVC 3.67.1 writes a value of params.yaml into a stage's command as it stands, and the shell reads it as code.
#
# Valid input: a stage that repeats over the rows of params.yaml, with `${key}` in its command, as DVC's manual has it;
# the row is called `a; touch marker`. Quotes around `${key}` help until a name holds a quote: DVC quotes the
# values of a mapping that is interpolated as a whole, and no other. Expected: the name is one word of the command.
# Seen: the file `marker` is made, in quotes ('${key}') too. A command that names its row by DVC's own variable,
# "$DVC_STAGE", makes none.
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
cat > params.yaml <<'YAML'
bare: {"a; touch marker-bare": 1}
quoted: {"'; touch marker-quoted; echo '": 1}
variable: {"a; touch marker-variable; $(touch marker-variable)": 1, "'\"; touch marker-variable; \"'": 1}
YAML
cat > dvc.yaml <<'YAML'
stages:
  bare: {foreach: "${bare}", do: {cmd: "echo ${key}"}}
  quoted: {foreach: "${quoted}", do: {cmd: "echo '${key}'"}}
  variable: {foreach: "${variable}", do: {cmd: 'echo "$DVC_STAGE"'}}
YAML
dvc repro
ls
[ -e marker-bare ] && [ -e marker-quoted ] || { echo "DVC quotes what it writes"; exit 1; }
[ ! -e marker-variable ] || { echo "the variable is code, too"; exit 1; }
echo "as described: a name ran as code, in quotes too, and not by the variable"
