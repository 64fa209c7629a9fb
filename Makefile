# make quickstart   installs everything and runs a search on handwritten digits, in a few minutes
# make test         the fast tests, and a few that need Ray, PostgreSQL or a browser
# make test-all     make test, then the long tests: studies are killed, interrupted, soaked; many cases
# make check        lint, types, make test
# make faults       many kinds of kills and a long soak: half an hour
# make coverage     lines that no test reaches; takes as long as make test-all
# make test-minimum make test with the oldest versions that pyproject.toml allows, in .venv-minimum
# make constraints  installs the newest versions, and writes .ci/constraints.txt; then make check test-all

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MINIMUM := .venv-minimum
CONSTRAINTS := .ci/constraints.txt
INSTALL := -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
# Two processes, for two cores. All tests of a file run in one, as they share fixtures.
PYTEST := -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test test-all test-minimum faults coverage check lint format constraints clean

quickstart: $(VENV)/installed
	$(BIN)/hgcnas run studies/quickstart.toml
	@echo
	@echo "runs/quickstart/report.html shows the front (open it in a browser), best.toml is its most"
	@echo "accurate network. What to do next:"
	@echo "  $(BIN)/hgcnas describe runs/quickstart/best.toml       its layers and their cost"
	@echo "  $(BIN)/hgcnas dashboard quickstart                     the study in Optuna Dashboard"
	@echo "  $(BIN)/hgcnas run studies/quickstart.toml --trials 64  more trials of the same study"
	@echo "  $(BIN)/hgcnas run studies/cifar10-cpu.toml             a real search, about an hour"

test: $(VENV)/installed
	$(BIN)/python $(PYTEST)

test-all: test
	$(BIN)/python $(PYTEST) -m long

# Old versions of Ray leave files and processes open; make test finds those that hgcnas leaves.
test-minimum: $(MINIMUM)/installed
	$(MINIMUM)/bin/python $(PYTEST) -W ignore:unclosed:ResourceWarning -W ignore:subprocess:ResourceWarning

faults: $(VENV)/installed
	$(BIN)/python -m pytest -m long tests/faults --rounds 31 --preemptions 10 --soak 2000

coverage: $(VENV)/installed
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) -m "long or not long"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	@for package in hgcnet space search; do \
		echo "$$package: $$($(BIN)/coverage report --include "$$package/*" --format total) %"; \
	done

check: lint test

lint: $(VENV)/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) $(MINIMUM) build *.egg-info

# Leaves out packages of one platform (CUDA), and labels of local versions (+cpu).
constraints:
	rm -rf $(VENV)
	$(call venv,$(VENV))
	$(BIN)/python $(INSTALL)
	$(BIN)/python -m pip freeze --all --exclude-editable > $(VENV)/frozen
	sed -E '/^(cuda|nvidia|pip=|triton)/d; s/\+.*//' $(VENV)/frozen > $(CONSTRAINTS)
	touch $(VENV)/installed

$(VENV)/installed: pyproject.toml $(CONSTRAINTS)
	$(call venv,$(VENV))
	$(BIN)/python $(INSTALL) --constraint $(CONSTRAINTS)
	touch $@

$(MINIMUM)/installed: pyproject.toml .ci/lower_bounds.py
	$(call venv,$(MINIMUM))
	$(PYTHON) .ci/lower_bounds.py > $(MINIMUM)/constraints.txt
	$(MINIMUM)/bin/python $(INSTALL) --constraint $(MINIMUM)/constraints.txt
	touch $@

define venv
$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
$(PYTHON) -m venv $(1)
endef
