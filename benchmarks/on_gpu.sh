#!/usr/bin/env bash
# What the paper's profile costs on one GPU: `python -m gpu` with the paths that it needs.
#
#   benchmarks/on_gpu.sh --prepare     on your machine: puts beside it what a bare machine lacks
#   benchmarks/on_gpu.sh               on the GPU's machine; again: goes on where it was cut off
#   benchmarks/on_gpu.sh --toy         every part on the CPU, at toy size
#
# PYTHON names the interpreter that has torch and torchvision, OUT the folder of the results
# (benchmarks/results). See benchmarks/gpu/__init__.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH="$PWD/src:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
if [[ " $* " != *" --prepare "* ]]; then # which replaces these packages, so must not find them
  PYTHONPATH+=":$PWD/build/on_gpu/packages"
fi
exec "${PYTHON:-python3}" -m gpu "$@"
