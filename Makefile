# BUILD.md explains the targets.
PYTHON ?= python3.11
EXTRAS ?= audio,test,plots,serving
# Of `make test` and `make test-slow`: TESTS=tests/quantizers, say.
TESTS ?= tests
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo docs test test-slow test-beam lint bench bench-peers

demo: $(INSTALLED)
	$(BIN)/vqvae-tf demo --output=build/demo

# Warnings are errors: broken links, docstrings that cannot be read.
docs: $(VENV)/.docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site

# Two workers, on a thread each (tests/conftest.py).
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile \
	  --no-loadscope-reorder -q -m "not slow" $(TESTS)

test-slow: $(VENV)/.docs
	$(BIN)/python -m pytest -n 2 --dist loadfile -q -m slow $(TESTS)

# Apache Beam asks for older packages than constraints.txt has.
BEAM := .venv-beam

test-beam: $(BEAM)/.installed
	$(BEAM)/bin/python -m pytest -q tests/encoding/test_beam.py

$(BEAM)/.installed: setup.py
	$(PYTHON) -m venv $(BEAM)
	$(BEAM)/bin/pip install --quiet -e '.[beam,test]'
	touch $@

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The others need data: docs/results.md, docs/encoding.md.
BENCHMARKS := quantizer quantizer_peers train_step code_sampling \
  wavenet_sampling dilated_convolution input_pipeline import_time \
  preset_load saved_model
# Where PyTorch's builds for CPUs are; empty for the usual package index alone.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PEERS := .venv-bench

run_benchmarks = set -e; for name in $(BENCHMARKS); do \
  echo "== $$name"; $(1)/python benchmarks/$$name.py; done

bench: $(INSTALLED)
	$(call run_benchmarks,$(BIN))

# The same, beside the packages of the extra `bench`.
bench-peers: $(PEERS)/.installed
	$(call run_benchmarks,$(PEERS)/bin)

$(PEERS)/.installed: setup.py constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet -e '.[bench,serving]' \
	  -c constraints.txt $(addprefix --extra-index-url ,$(TORCH_INDEX))
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): setup.py pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[$(EXTRAS)]' -c constraints.txt
	touch $@

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/pip install --quiet -e '.[docs]' -c constraints.txt
	touch $@
