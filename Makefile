# Each command makes .venv on first use.

PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-all lint

demo: .venv/installed
	$(BIN)/python -m slowfast_tf.train --config configs/demo.json

# Three processes of about 2 GB: more than cores, since tests wait for processes of their own.
PYTEST = $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test: .venv/installed-test
	$(PYTEST) -m "not slow"

test-all: .venv/installed-test
	$(PYTEST)

lint: .venv/installed-test
	$(BIN)/codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Upgrade pip first: old versions resolve dependencies twice as slowly.
.venv/bin/pip:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/installed: setup.cfg pyproject.toml | .venv/bin/pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-test: setup.cfg pyproject.toml | .venv/bin/pip
	$(BIN)/python -m pip install --quiet --editable '.[people,test]'
	touch .venv/installed $@

# The older stack, beside it.
.venv-legacy/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-legacy
	.venv-legacy/bin/python -m pip install --quiet --upgrade pip
	.venv-legacy/bin/python -m pip install --quiet --editable '.[legacy,test]' torch==2.13.0 pyyaml decord
	touch $@
