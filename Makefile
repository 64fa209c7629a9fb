# make quickstart   the main job on an embedded data set, from nothing, in a few minutes
# make test         what is fast, and one test of each thing that needs Ray, PostgreSQL or a browser
# make test-all     the same, then the long forms: studies are killed, soaked, interrupted; many cases
# make check        lint, types, make test
# make faults       kills in many ways and a long soak: half an hour
# make coverage     what no test reaches; as long as make test-all

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes, for two cores. A file stays with one of them, for what its tests share.
PYTEST := -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test test-all faults coverage check lint format clean

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

faults: $(VENV)/installed
	$(BIN)/python -m pytest -m long tests/faults --rounds 31 --soak 2000

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
	rm -rf $(VENV) build *.egg-info

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@
