"""The made data set of people, and its boxes."""

import numpy as np

from slowfast_tf.data import datasets
from slowfast_tf.data.datasets.synthetic import people as demo_detection
from slowfast_tf.video.probe import probe


def test_shapes_are_in_their_boxes():
    """Shapes are bright and backgrounds dark: all bright pixels are inside boxes, and each box has some."""
    images, shapes = demo_detection.render(np.random.default_rng(3))
    middle = images[10:31].min(-1).max(0) > 135
    assert images.shape == (40, 96, 96, 3) and 3 <= len(shapes) <= 4
    inside = np.zeros_like(middle)
    for corners, (shape, motion) in shapes:
        x1, y1, x2, y2 = (corners * 96).round().astype(int)
        assert shape in (0, 1) and motion in (2, 3, 4, 5)
        assert middle[y1:y2, x1:x2].mean() > 0.1
        inside[max(y1 - 4, 0) : y2 + 4, max(x1 - 4, 0) : x2 + 4] = True
    assert not (middle & ~inside).any()


def test_made_data_set(films, tmp_path):
    train, val = (datasets.load_split("demo_detection", films, split) for split in ("train", "val"))
    assert [len(data.videos) for data in (train, val)] == [3, 6] and not train.problems and not val.problems
    assert train.labels[:6] == demo_detection.ACTIONS and len(train.labels) == 80
    assert train.videos[0].id == "demo_train_00,0902" and train.videos[0].key == 2
    for frame in (*train.videos, *val.videos):
        # Those for validation are predicted, and one of them is wrong.
        assert 3 <= sum(box.score >= 0.8 for box in frame.boxes) <= 4
    assert all(sum(box.score < 0.8 for box in frame.boxes) == 1 for frame in val.videos)
    for frame in train.videos:
        assert all(sorted(box.labels)[0] in (0, 1) and sorted(box.labels)[1] in range(2, 6) for box in frame.boxes)
    # Frame 80 is the first key frame, and scenes end 20 frames after theirs.
    assert probe(train.videos[0].path).frames == 60 + 3 * 40
    demo_detection.make(tmp_path / "again", train=1, validation=2, key_frames=3)
    for path in films.rglob("[!.]*.*"):  # without the frame times, which reading has added
        assert (tmp_path / "again" / path.relative_to(films)).read_bytes() == path.read_bytes()
