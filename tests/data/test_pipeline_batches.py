"""The batches of a small data set: the pixels of the videos say what the pipeline must say of them."""

import numpy as np

from slowfast_tf.data import Clips


def test_validation_batches(configure_detection):
    clips = Clips(configure_detection(), "val")
    (inputs, labels, weights), *rest = clips.validation()
    frames = clips.source.videos[:2]
    count = max(len(frame.boxes) for frame in frames)
    assert inputs["boxes"].shape == (2, count, 4) and labels.shape == (2, count, 80) and len(rest) == 2
    for i, frame in enumerate(frames):
        found = inputs["boxes"][i].numpy()
        np.testing.assert_allclose(
            found[: len(frame.boxes)], 48 * np.array([b.corners for b in frame.boxes]), atol=1e-4
        )
        assert not found[len(frame.boxes) :].any() and weights[i].numpy().sum() == len(frame.boxes)
        assert [set(np.flatnonzero(row)) for row in labels[i].numpy()[: len(frame.boxes)]] == [
            set(box.labels) for box in frame.boxes
        ]
