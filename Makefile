# Everything happens in .venv, made with the python3 at hand; another one: make test PYTHON=python3.12
PYTHON ?= python3
# For pip: make demo PIP_FLAGS="--index-url ..." takes other wheels, such as torch for the CPU only.
PIP_FLAGS ?=
# For pytest: make test ARGS="tests/reports -x"; for uv: make lock ARGS=--upgrade
ARGS ?=
# Versions are those of requirements.lock. LATEST=1 takes the newest of everything, OLDEST=1 (Python 3.10 or 3.11) the
# lower bounds of pyproject.toml; each has a folder of its own.
LATEST ?=
OLDEST ?=

ifeq ($(LATEST)/$(OLDEST),/)
VENV := .venv
LOCK := requirements.lock
else ifeq ($(LATEST)/$(OLDEST),/1)
VENV := .venv-oldest
LOCK := requirements-oldest.lock
else ifeq ($(LATEST)/$(OLDEST),1/)
VENV := .venv-latest
LOCK :=
endif
$(if $(VENV),,$(error LATEST=$(LATEST) OLDEST=$(OLDEST): give one of them as 1, or neither))

# A process a core, each of them with one thread (tests/conftest.py); files stay whole, for their fixtures' sake, but for
# the recordings, most of which one file tests.
PROCESSES := -n auto --maxprocesses 8
WHOLE_FILES := $(PROCESSES) --dist loadfile --no-loadscope-reorder

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS) $(if $(LOCK),,--upgrade --upgrade-strategy eager)
# Constraints: a wheel of torch without CUDA draws no CUDA libraries though the lock knows their versions.
# In the environment they hold for the build of the project too; pip 25.3 and newer ask for that under a second name.
ifneq ($(LOCK),)
export PIP_CONSTRAINT := $(LOCK)
export PIP_BUILD_CONSTRAINT := $(LOCK)
endif

.DEFAULT_GOAL := help
.PHONY: help dev demo test test-fast test-golden networks rows audit-page costs memory fuzz lint types format lock clean newest

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1	\2/' | expand -t 16

demo: $(VENV)/.installed ## reproduce the embedded demo zoo on this machine (no GPU, no data sets)
	$(BIN)/zoo demo

test: $(VENV)/.installed-test ## run the tests
	$(BIN)/python -m pytest $(WHOLE_FILES) $(ARGS)

test-fast: $(VENV)/.installed-test ## those that take no time, for the work loop
	$(BIN)/python -m pytest $(WHOLE_FILES) -m "not slow" $(ARGS)

test-golden: $(VENV)/.installed-test ## all of what make test takes some of each kind of; every recorded network and photograph, where ../shared is
	$(BIN)/python -m pytest -q $(PROCESSES) --dist worksteal -m golden $(ARGS)

networks: $(VENV)/.installed-test ## write docs/networks.md of those recordings
	$(BIN)/python -m pytest -q $(PROCESSES) --dist worksteal -m golden tests/models/test_networks.py --junitxml $(VENV)/networks.xml; \
		$(BIN)/python docs/networks.py $(VENV)/networks.xml

rows: $(VENV)/.installed-test ## make the packaged rows again from the documents and configurations they came from
	$(BIN)/python tests/support/published_rows.py mmsegmentation sssegmentation

audit-page: $(VENV)/.installed-test ## write results/audit.md anew from the same documents
	$(BIN)/python tests/support/audit_page.py

costs: $(VENV)/.installed-test ## count parameters and cost of the packaged rows' networks that were not counted yet
	$(BIN)/python tests/support/counted_costs.py

memory: $(VENV)/.installed ## write results/memory.md: every printed training memory foretold, ten minutes
	$(BIN)/zoo memory --quiet --json > $(VENV)/memory.json; $(BIN)/python docs/memory_reasons.py $(VENV)/memory.json

fuzz: $(VENV)/.installed-test ## hostile bytes and texts for an hour; make fuzz SECONDS=60
	$(BIN)/python tests/fuzz/rounds.py $(or $(SECONDS),3600)

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

lock: ## find versions for pyproject.toml that go together, keeping those that still do (uv)
	$(PYTHON) -m venv .venv-lock
	env -u PIP_CONSTRAINT -u PIP_BUILD_CONSTRAINT .venv-lock/bin/python -m pip install -q $(PIP_FLAGS) uv
	$(BUILD_REQUIRES) | $(COMPILE) --all-extras -o requirements.lock $(ARGS)
	$(BUILD_REQUIRES) | $(COMPILE) --extra test --resolution lowest-direct -o requirements-oldest.lock $(ARGS)

BUILD_REQUIRES := sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml
# One file for every system and Python from 3.10 on, each of them with a wheel of everything.
COMPILE := .venv-lock/bin/uv pip compile -q --universal --python-version 3.10 --only-binary :all: \
	--annotation-style line --custom-compile-command "make lock" pyproject.toml -

clean: ## remove the environment and everything built
	rm -rf .venv .venv-latest .venv-oldest .venv-lock build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 10) and f"segbench needs Python 3.10 or newer, $(PYTHON) is {v.major}.{v.minor}; name another: make ... PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of dependencies, so that an installation is repeated only when pyproject.toml or the lock changes;
# the newest of everything is looked for every time.
# venv dates bin/python like the interpreter it links to: order-only, or it would never count as new.
$(VENV)/.installed: pyproject.toml $(if $(LOCK),$(LOCK),newest) | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(if $(LOCK),$(LOCK),newest) | $(BIN)/python
	$(PIP) -e ".[test]"
	@touch $(VENV)/.installed $@

$(VENV)/.installed-dev: pyproject.toml $(if $(LOCK),$(LOCK),newest) | $(BIN)/python
	$(PIP) -e ".[dev]"
	@touch $(VENV)/.installed $(VENV)/.installed-test $@
