# Two commands do everything, on a machine with nothing but Python, pip, make and git:
#
#   make quickstart   set up, make data, pretrain, train, map, report
#   make test         set up, check style and types, run the tests
#   make docs         set up, build the documentation's pages into build/site
#
# Choices, all optional:
#   PYTHON=python3.13       the interpreter for .venv (default: the first that is >= 3.11)
#   TORCH_INDEX=ADDRESS     take torch from this package index (a CPU or CUDA build's)
#   PIP_OPTIONS='...'       more options for every pip install
#   TEST_PROCESSES=4        tests that run at once
#   TESTS='tests/raster'    run these tests only

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP_OPTIONS ?=
TORCH_INDEX ?=
TEST_PROCESSES ?= 2
TESTS ?= tests

# Each candidate is run, not only looked up: version managers leave shims of absent versions.
PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$candidate; break; fi; done)

.PHONY: docs quickstart test
.DELETE_ON_ERROR:

quickstart: $(VENV)/installed
	$(BIN)/eo-contrast quickstart runs/quickstart

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadscope $(TESTS)

docs: $(VENV)/installed-docs
	$(BIN)/python docs/site/make_api.py
	$(BIN)/python docs/site/build_site.py

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python >= 3.11 found; install one, or name it: make PYTHON=/path/to/python" >&2; \
		exit 2; fi
	$(PYTHON) -m venv --clear $(VENV)

# The stamps are older than pyproject.toml after a change of dependencies: install again.
$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install $(PIP_OPTIONS) --index-url $(TORCH_INDEX) torch)
	$(BIN)/python -m pip install $(PIP_OPTIONS) -e .
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install $(PIP_OPTIONS) -e '.[docs]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install $(PIP_OPTIONS) -e '.[dev]'
	touch $@
