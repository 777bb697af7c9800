# BUILD.md explains the targets.
PYTHON ?= python3.11
EXTRAS ?= test,plots,serving
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow lint bench

demo: $(INSTALLED)
	$(BIN)/vqvae-tf demo --output=build/demo

# Two workers, on a thread each (tests/conftest.py).
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -q -m "not slow" tests

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -q -m slow tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(INSTALLED)
	set -e; for script in benchmarks/*.py; do \
	  echo "== $$script"; $(BIN)/python $$script; done

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): setup.py pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[$(EXTRAS)]' -c constraints.txt
	touch $@
