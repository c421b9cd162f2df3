# Two commands, each of which makes .venv on first use.

PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint

demo: .venv/installed
	$(BIN)/python -m slowfast_tf.train --config configs/demo.json

test: .venv/installed-test
	$(BIN)/python -m pytest

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

# The older stack, beside it.
.venv-legacy/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-legacy
	.venv-legacy/bin/python -m pip install --quiet --editable '.[legacy,test]'
	.venv-legacy/bin/python -m pip install --quiet torch==2.13.0 pyyaml decord
	touch $@
