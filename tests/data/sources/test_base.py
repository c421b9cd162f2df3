"""A source gives up a video only after it has failed several times."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.pictures import CLASSES
from helpers.tags import copy_with_latin_title

from slowfast_tf.data import Clips, datasets
from slowfast_tf.data.sampling import Sampling
from slowfast_tf.data.sources import Files
from slowfast_tf.data.sources.base import MAX_FAILURES
from slowfast_tf.errors import VideoError
from slowfast_tf.video.decode import read_frames


class Disk:
    """Decodes videos; for one of them, the first `failures` attempts fail."""

    def __init__(self, name, failures):
        self.name, self.failures, self.asked = name, failures, 0

    def __call__(self, path, frames, short_side=None):
        if path.endswith(self.name):
            self.asked += 1
            if self.asked <= self.failures:
                raise VideoError(f"{path}: cannot be read as a video: Input/output error")
        return read_frames(path, frames, short_side)


def validation(configure, folder, disk):
    source = Files(datasets.load_split("folder", folder, "val").videos, decode=disk)
    return Clips(configure(), "val", source=source)


def passes(clips, count):
    """The number of videos in each pass."""
    return [sum(len(labels) for _, labels in clips.validation()) for _ in range(count)]


def test_a_temporary_error_skips_a_video_in_one_pass(configure, folder):
    disk = Disk("09.mp4", failures=1)
    clips = validation(configure, folder, disk)
    assert passes(clips, 1) == [3]
    assert list(clips.skipped) == ["bee/09.mp4"]
    assert "Input/output error" in next(iter(clips.skipped.values()))
    assert passes(clips, 2) == [4, 4] and not clips.skipped


def test_a_video_that_always_fails_is_skipped(configure, folder):
    disk = Disk("09.mp4", failures=10**6)
    clips = validation(configure, folder, disk)
    assert passes(clips, MAX_FAILURES + 2) == [3] * (MAX_FAILURES + 2)
    assert disk.asked == MAX_FAILURES and len(clips.skipped) == 1


def test_the_next_video_replaces_a_failed_one(configure, folder):
    """The training batch keeps its size, and the video is back in the next epoch."""
    disk = Disk("ant/04.mp4", failures=1)
    source = Files(datasets.load_split("folder", folder, "train").videos, decode=disk)
    clips = Clips(configure("train.batch_size=8"), "train", source=source)
    counts = [labels.numpy().sum(0).tolist() for _, labels in clips.train(range(2))]
    # The next video is the first one of "bee".
    assert counts == [[1, 3, 2, 2], [2, 2, 2, 2]]


def test_an_outage_skips_no_video(configure, folder):
    """Each clip tries all videos as a replacement, so one pass could use up the attempts of all videos."""
    out = [True]

    def decode(path, frames, short_side=None):
        if out[0]:
            raise VideoError(f"{path}: cannot be read as a video: Input/output error")
        return read_frames(path, frames, short_side)

    config = configure("train.batch_size=8")
    source = Files(datasets.load_split("folder", folder, "train").videos, decode=decode)
    clips = Clips(config, "train", source=source)
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="none of the training videos can be read"):
            source.read(tf.constant(0, tf.int64), Sampling(clips.spec, [0.5]), stand_in=True)
    for number in range(source.count):
        with pytest.raises(tf.errors.InvalidArgumentError):
            source.read(tf.constant(number, tf.int64), Sampling(clips.spec, [0.5]), stand_in=True)
    assert len(source.skipped) == source.count == 8
    out[0] = False
    counts = [labels.numpy().sum(0).tolist() for _, labels in clips.train(range(1))]
    assert sum(counts[0]) == 8 and len(source.skipped) <= 1


@pytest.mark.parametrize("frames", [[0], [5, 6]])
def test_a_tag_that_is_not_utf8_is_ignored(folder, tmp_path, frames):
    path = folder / "val" / CLASSES[0] / "08.mp4"
    tagged = copy_with_latin_title(path, tmp_path / "tagged.mp4")
    np.testing.assert_array_equal(read_frames(tagged, frames), read_frames(str(path), frames))
