"""The examples in the docstrings of the documented modules run, and each of their functions has one."""

import ast
import doctest
import importlib
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import slowfast_tf
from slowfast_tf.models.presets import get_spec

ROOT = pathlib.Path(__file__).parents[1]
MODULES = re.findall(r"^::: (\S+)", (ROOT / "docs/api.md").read_text(), re.M)
# What every example may use without an import, beside its own module's names.
NAMES = {"get_spec": get_spec, "keras": keras, "np": np, "pathlib": pathlib, "slowfast_tf": slowfast_tf, "tf": tf}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch, capsys):
    """Those that need a file, a trained model or a device are marked `# doctest: +SKIP`."""
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), extraglobs=NAMES, optionflags=FLAGS)
    assert not failed, capsys.readouterr().out


@pytest.mark.parametrize("name", MODULES)
def test_every_function_has_an_example(name):
    tree = ast.parse(pathlib.Path(importlib.import_module(name).__file__).read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    assert not [node.name for node in functions if ">>>" not in (ast.get_docstring(node) or "")]


def test_some_examples_run():
    """Not all of them are skipped."""
    finder, ran = doctest.DocTestFinder(), 0
    for name in MODULES:
        for test in finder.find(importlib.import_module(name)):
            ran += any(doctest.SKIP not in example.options for example in test.examples)
    assert ran >= 80
