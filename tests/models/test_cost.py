"""Multiply-adds and parameters, against the paper and against the graph."""

import dataclasses
import pathlib

import pytest
from helpers.networks import count, parameters

from slowfast_tf import describe
from slowfast_tf.models import cost_table
from slowfast_tf.models.cost import cost, nonlocal_products, total
from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.slowfast import SlowFast

# Cost


# Counted block by block: one of each kind of block. The counted network of the others has few blocks.
WHOLE = ("SlowFast 4x16 R50", "SlowFast 16x8 R101 + non-local")


@pytest.mark.parametrize("row", cost_table.PAPER, ids=lambda row: row[0])
def test_cost_of_the_papers_networks(row):
    name, preset, changes, published, recomputed, millions = row
    spec = get_spec(preset, **changes)
    built = spec if name in WHOLE else dataclasses.replace(spec, depth=10, res4_temporal_blocks=0)
    model = SlowFast(built)
    counted, arithmetic = count(model, built), cost(built)
    assert nonlocal_products(built) == counted.pop("products")
    assert {part: numbers["multiply_adds"] for part, numbers in arithmetic.items()} == counted
    assert {part: numbers["parameters"] for part, numbers in arithmetic.items()} == parameters(model)
    multiply_adds = total(spec)["multiply_adds"] / 1e9
    assert multiply_adds == pytest.approx(recomputed or published, rel=0.01 if recomputed else 0.025)
    if millions:
        assert total(spec)["parameters"] / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.legacy
def test_published_parameters():
    assert total(get_spec("slowfast_8x8_r50"))["parameters"] == 34566488
    # PyTorchVideo's model zoo: its 8x8 R101 has a temporal kernel in all of res4.
    all_of_res4 = total(get_spec("slowfast_8x8_r101", res4_temporal_blocks=0))
    assert all_of_res4["parameters"] / 1e6 == pytest.approx(62.83, abs=0.01)


@pytest.mark.legacy
def test_table_is_up_to_date(tmp_path):
    describe.main(["--table", str(tmp_path / "costs.md")])
    written = (tmp_path / "costs.md").read_text()
    assert written == (pathlib.Path(__file__).parents[2] / "docs" / "costs.md").read_text()
