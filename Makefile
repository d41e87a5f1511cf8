# Two commands are enough for a newcomer: `make repro` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help repro test check ui gate install clean weights

help:
	@echo "make repro  the whole study: install, run every stage, write reports/report.html"
	@echo "make test   install, run every test (about ten minutes on two cores)"
	@echo "make check  format, lint, types, import rules, fast tests (about a minute)"
	@echo "make ui     MLflow on http://127.0.0.1:5000"
	@echo "make gate   compare reports/metrics.json with reports/baseline.json"

install: $(VENV)/.installed

# One resolve for torch and torchvision: only then do their versions fit.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

repro: install
	dvc repro
	@echo
	@echo "The report:  $(CURDIR)/reports/report.html"
	@echo "The runs:    make ui   (MLflow on http://127.0.0.1:5000)"

test: install
	pytest

check: install
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest -m "not slow and not gpu" -q

ui: install
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true \
	mlflow server --backend-store-uri sqlite:///$(CURDIR)/mlflow.db \
	  --artifacts-destination $(CURDIR)/mlartifacts --host 127.0.0.1 --port 5000 --workers 1

gate: install
	trapmid gate

clean:
	rm -rf .scratch build .mypy_cache .pytest_cache .ruff_cache

# Makes the initial weights of the small profile again: same data, same seed; an hour on two cores.
weights: install
	trapmid profile start
	dvc repro train_public_prior@gmi train_public_prior@plgmi
	trapmid export models/priors/public/gmi/prior.pt weights/faces32/gmi.pt
	trapmid export models/priors/public/plgmi/prior.pt weights/faces32/plgmi.pt
	trapmid profile small
	cd weights/faces32 && sha256sum gmi.pt plgmi.pt > SHA256SUMS
