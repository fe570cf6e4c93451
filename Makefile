# Everything happens in .venv, made with the python3 at hand; another one: make test PYTHON=python3.12
PYTHON ?= python3
# For pip: make demo PIP_FLAGS="--index-url ..." takes other wheels, such as torch for the CPU only.
PIP_FLAGS ?=
# For pytest: make test ARGS="tests/reports -x"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS)

.DEFAULT_GOAL := help
.PHONY: help dev demo test lint types format clean

help: ## what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1	\2/' | expand -t 14

demo: $(VENV)/.installed ## reproduce the embedded demo zoo on this machine (no GPU, no data sets)
	$(BIN)/zoo demo

test: $(VENV)/.installed-test ## run the tests
	$(BIN)/python -m pytest $(ARGS)

dev: $(VENV)/.installed-dev ## install everything for working on the code
	@echo "ready: . $(BIN)/activate; git hooks: $(BIN)/pre-commit install"

lint: $(VENV)/.installed-dev ## check style (ruff), change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## check types (basedpyright)
	$(BIN)/basedpyright

format: $(VENV)/.installed-dev ## put style right where ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 10) and f"segbench needs Python 3.10 or newer, $(PYTHON) is {v.major}.{v.minor}; name another: make ... PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of dependencies, so that an installation is repeated only when pyproject.toml changes.
# venv dates bin/python like the interpreter it links to: order-only, or it would never count as new.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[test]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[dev]"
	@touch $@
