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

# The others need data: docs/results.md.
BENCHMARKS := pixel_cnn_sampling quantizer train_step

bench: $(INSTALLED)
	set -e; for name in $(BENCHMARKS); do \
	  echo "== $$name"; $(BIN)/python benchmarks/$$name.py; done

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): setup.py pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[$(EXTRAS)]' -c constraints.txt
	touch $@
