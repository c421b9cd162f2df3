"""Scores in files, and the shards of an evaluation."""

import pytest

from slowfast_tf.data import Clips
from slowfast_tf.evaluation import metrics, scores
from slowfast_tf.evaluation.run import Outputs, evaluate


def test_parts_and_what_is_done(detection_model, configure_detection, tested_detection, tmp_path):
    _, figures, found = tested_detection
    paths = []
    for number in (0, 1):
        paths.append(tmp_path / f"{number}.npz")
        evaluate(detection_model, Clips(configure_detection(), "val"), (number, 2), Outputs(scores=paths[-1]))
    fused = scores.fuse_scores(paths)
    again = metrics.compute_metrics(fused)
    assert again.pop("AP") == pytest.approx(figures["AP"], abs=1e-6) and sorted(fused.ids) == sorted(found.ids)
    assert again == pytest.approx({name: value for name, value in figures.items() if name != "AP"}, abs=1e-6)
    done = set(found.ids[:8])
    rest = [name.numpy().decode() for *_, name in Clips(configure_detection(), "val").key_frames(done=done)]
    assert rest == [name for name in dict.fromkeys(found.ids) if name not in done]
