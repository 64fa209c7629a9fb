# make quickstart   the main job on an embedded data set, from nothing, in a few minutes
# make test         all tests
# make faults       studies are killed in many ways, and soaked; about half an hour (make test has a short form)
# make check        what CI runs: lint, types, tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test faults check lint format clean

quickstart: $(VENV)/installed
	$(BIN)/hgcnas run studies/quickstart.toml
	@echo
	@echo "runs/quickstart/report.html shows the front (open it in a browser), best.toml is its most"
	@echo "accurate network. What to do next:"
	@echo "  $(BIN)/hgcnas describe runs/quickstart/best.toml       its layers and their cost"
	@echo "  $(BIN)/hgcnas dashboard quickstart                     the study in Optuna Dashboard"
	@echo "  $(BIN)/hgcnas run studies/quickstart.toml --trials 64  more trials of the same study"
	@echo "  $(BIN)/hgcnas run studies/cifar10-cpu.toml             a real search, about an hour"

# Two at once take a quarter less on two cores. A file stays with one process, for what its tests share.
test: $(VENV)/installed
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

faults: $(VENV)/installed
	$(BIN)/python -m pytest tests/faults tests/test_hostile_input.py --rounds 31 --soak 2000 --mutations 2000

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
