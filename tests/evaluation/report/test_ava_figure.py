"""Figure 3 of the paper from two results."""

import json

import matplotlib.image
import numpy as np
import pytest

from slowfast_tf.errors import InputError
from slowfast_tf.evaluation.report import ava_figure


def test_figure(tmp_path):
    first = {"mAP": 0.3, "sit <down>": 0.3, "walk": 0.5, "fly": None, "run": 0.1, "swim": 0.2}
    second = {"mAP": 0.4, "sit <down>": 0.2, "walk": 0.9, "fly": 0.5, "run": 0.1, "swim": 0.4}
    (tmp_path / "second.json").write_text(json.dumps(second))
    rows = ava_figure.save_comparison(first, tmp_path / "second.json", ["Slow-only", "SlowFast"], tmp_path / "ap")
    assert [(row[0], round(row[3], 9)) for row in rows] == [
        ("walk", 0.4),
        ("swim", 0.2),
        ("run", 0),
        ("sit <down>", -0.1),
    ]
    image = matplotlib.image.imread(tmp_path / "ap.png")
    blue = np.array([4, 90, 141]) / 255
    assert (np.abs(image[..., :3] - blue).max(-1) < 0.02).sum() > 2000

    page = (tmp_path / "ap.html").read_text()
    assert "http" not in page and "src=" not in page  # nothing from elsewhere
    assert "sit &lt;down&gt;" in page and "<down>" not in page
    assert "2 of 4 categories gain, 1 lose." in page
    places = [page.index(f"<tr><td>{name}") for name in ("walk", "swim", "run", "sit")]
    assert places == sorted(places) and ">+40.0<" in page and ">-10.0<" in page
    with pytest.raises(InputError, match="no category in common"):
        ava_figure.compare(first, {"mAP": 1.0, "dance": 1.0})
    (tmp_path / "list.json").write_text("[]")
    for name, message in (("list.json", "not a result of AVA's evaluation"), ("none.json", "cannot read the metrics")):
        with pytest.raises(InputError, match=message):
            ava_figure.compare(first, tmp_path / name)
