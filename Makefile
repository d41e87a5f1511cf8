# Two commands are enough for a newcomer: `make repro` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# How many stages `make repro` works on at a time: one for each core, each with one thread, four at most; one where there
# is a GPU. The networks of a laptop study are too small for several cores. JOBS=1 gives each all cores, as `dvc repro`.
JOBS ?= auto

# A test uses one core, so the tests are shared among the cores, file by file, because the tests of a file
# share what is dear to make: at most four at a time, for the memory they take. (Groups would say the same more
# finely, but pytest-xdist 3.8.0 under pytest 9.2.0 gives the tests of one `xdist_group` to every process.)
# The order of the files is that of tests/conftest.py, the longest first, not that of their numbers of tests.
SHARED = --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# To make the bytecode of the tests takes every process three seconds; set, the variable would forbid to keep it.
PYTEST = PYTHONDONTWRITEBYTECODE= pytest

# Where `make ui` answers.
PORT = 5000

# What `make exp` shows of every experiment, changed or not; of all other columns those that differ.
KEEP ?= trapdoor[.]beta|(aa1|accuracy)[.](none|trapmid)$$

.PHONY: help repro test lint check faults docs ui exp gate bench install clean weights judges

help:
	@echo "make repro  the whole study: install, run every stage, write reports/report.html"
	@echo "            (as many stages at a time as there are cores, four at most; JOBS=1: one, with all cores)"
	@echo "make install  nothing but install into .venv; then: source .venv/bin/activate"
	@echo "make test   install, run every test (sixteen minutes on two fast cores, twenty-five on slow ones)"
	@echo "make check  format, lint, types, import rules, fast tests (two minutes on two fast cores, five on slow ones)"
	@echo "make faults plant faults in a finished study; each must be named (fifteen minutes at most)"
	@echo "make docs   the Python interface as HTML, in build/api (one minute)"
	@echo "make ui     the runs in MLflow: prints the link, opens it (PORT=5001: on another port than 5000)"
	@echo "make exp    experiments side by side: what was changed, worst-case AA-1, accuracy"
	@echo "make bench  time every hot path beside the published procedure (nine minutes at most)"
	@echo "make gate   compare reports/metrics.json with reports/baseline.json"

install: $(VENV)/.installed

# One resolve for torch and torchvision: only then do their versions fit.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

repro: install
	trapmid check
	trapmid run --jobs "$(JOBS)"
	@echo
	@echo "The report:  $(CURDIR)/reports/report.html"
	@echo "The runs:    make ui   (MLflow; it prints the link)"

test: install
	$(PYTEST) -m "not faults" $(SHARED)

lint: install
	ruff format --check .
	ruff check .
	mypy
	lint-imports

check: lint
	$(PYTEST) -m "not slow and not gpu" -q $(SHARED)

# What a study meets in the wild, planted one by one: damaged files, rows that do not belong together.
faults: install
	$(PYTEST) -m faults $(SHARED)

docs: install
	python docs/reference.py build/api
	@echo "The reference:  $(CURDIR)/build/api/index.html"

ui: install
	@trapmid ui --port $(PORT)

exp: install
	dvc exp show --no-pager --only-changed --keep 'Experiment|$(KEEP)' --drop 'Created|.*/'

gate: install
	trapmid gate

bench: install
	trapmid bench

clean:
	rm -rf .scratch build .mypy_cache .pytest_cache .ruff_cache

# Makes the initial weights of the small profile again: same data, same seed; an hour and a half on two cores, added up.
weights: install
	trapmid profile start
	dvc repro train_public_prior@gmi train_public_prior@plgmi train_public_prior@style
	trapmid export models/priors/public/gmi/prior.pt weights/faces32/gmi.pt
	trapmid export models/priors/public/plgmi/prior.pt weights/faces32/plgmi.pt
	trapmid export models/priors/public/style/prior.pt weights/faces32/style.pt
	trapmid profile small
	cd weights/faces32 && sha256sum *.pt > SHA256SUMS

# Makes the judges of drawn faces again: people whom no study draws; 11 minutes of CPU.
judges: install
	python weights/make_judges.py weights/faces32
	cd weights/faces32 && sha256sum *.pt > SHA256SUMS
