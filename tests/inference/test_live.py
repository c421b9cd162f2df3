"""Scores of a stream as it happens."""

import time

import pytest
import tensorflow as tf
from helpers.coded_video import coded, numbers, write
from helpers.streams import serve_stream

from slowfast_tf.errors import VideoError
from slowfast_tf.inference import live
from slowfast_tf.inference.clip_reader import ClipReader
from slowfast_tf.models.presets import get_spec
from slowfast_tf.video import stream as streams
from slowfast_tf.video.decode import to_rgb


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    with serve_stream(tmp_path_factory.mktemp("stream")) as address:
        yield address


class Told:
    """A fake network that takes `seconds` per clip. Its scores are rows of the frames, which encode their numbers."""

    def __init__(self, spec, seconds):
        self.spec, self.seconds = spec, seconds

    def score_crops(self, crops):
        def wait(x):
            time.sleep(self.seconds)
            return x

        columns = tf.reduce_mean(crops, [2, 4])
        return tf.reshape(tf.numpy_function(wait, [columns], tf.float32), [1, -1])


def watch(spec, seconds, stream):
    """The moments of a stream, each with the numbers of its frames."""
    for moment in live.watch(Told(spec, seconds), stream):
        yield moment, numbers(moment.scores.reshape(16, 1, 32, 1).repeat(32, 1).repeat(3, 3))


def test_a_slow_network_does_not_lag(model, stream, monkeypatch):
    """Each clip has the newest frames, with a stride of 2. A network that is too slow for the stream skips clips."""
    monkeypatch.setattr(streams, "DELAY", 60.0)
    clips = list(watch(model.spec, 0.5, stream))
    assert 2 <= len(clips) <= 8  # with all 30 clips, it would end 15 s late
    start = clips[0][0].time - clips[0][1][-1] / 30
    for moment, found in clips:
        assert found == list(range(found[0], found[0] + 31, 2)), found
        assert moment.time - found[-1] / 30 == pytest.approx(start, abs=0.01)
        assert moment.delay >= 0.5
    lasts = [found[-1] for _, found in clips]
    assert lasts == sorted(set(lasts)) and lasts[-1] >= 87  # also frames that arrived during the last forward pass


def test_a_late_decoder_continues_at_a_key_frame(model, stream, monkeypatch):
    """If decoding is slower than the stream, frames are skipped, and the newest ones are not late."""
    upright = to_rgb

    def slow(*arguments):
        time.sleep(0.15)
        return upright(*arguments)

    monkeypatch.setattr(streams, "to_rgb", slow)
    monkeypatch.setattr(streams, "DELAY", 0.3)
    lasts = [found[-1] for _, found in watch(model.spec, 0.0, stream)]
    assert lasts == sorted(set(lasts)) and lasts[-1] >= 75  # at least the last key frame
    # After the first clip there are more than 30 frames. Only as many as fit into about 3 s were decoded.
    assert len(lasts) < 25


def test_streams_that_cannot_be_read(model, stream, tmp_path, monkeypatch):
    (tmp_path / "bad.ts").write_text("nothing")
    for source in (str(tmp_path / "bad.ts"), stream.replace("stream.ts", "none"), "97"):
        with pytest.raises(VideoError, match=source):
            next(live.watch(Told(model.spec, 0.0), source))
    monkeypatch.setattr(streams, "PATIENCE", 0.5)
    with pytest.raises(VideoError, match="silent.ts: no frame for 0.5 seconds"):
        next(live.watch(Told(model.spec, 0.0), stream.replace("stream.ts", "silent.ts")))


def test_a_camera_that_becomes_faster(tmp_path):
    """Two seconds with 15 frames each, as of a camera in the dark, then four with 30 each: clips come to the end."""
    times = [*range(0, 2000, 66), *range(2000, 6000, 33)]
    path = write(tmp_path / "v.ts", [coded(t % 256) for t in range(len(times))], times=times, rate=15)

    def prepare(image):
        time.sleep(0.005)
        return image[:1, :1]

    spec = get_spec("slowfast_4x16_r50", frame_rate=30.0)
    with ClipReader(str(path), spec, prepare) as reader:
        found = [clip[-1].time for clip in iter(reader.wait_for_clip, None)]
        assert reader.rate < 20
    assert {int(t) for t in found} >= {3, 4, 5}, found


def test_a_clock_that_goes_back(model, tmp_path):
    """Two takes of 60 frames in one file: no clip mixes them, and the last clip is the end of the second."""
    take = write(tmp_path / "take.ts", [coded(t + 100, 64, 64) for t in range(60)], g=15, qp=10, bf=0)
    with open(take, "rb") as file:
        (tmp_path / "two.ts").write_bytes(2 * file.read())
    clips = list(watch(model.spec, 0.0, str(tmp_path / "two.ts")))
    for _, found in clips:
        assert found == list(range(found[0], found[0] + 31, 2)), found
    assert (
        clips[-1][0].time == pytest.approx(clips[-1][1][-1] / 30 - 100 / 30 + 2, abs=0.01) and clips[-1][1][-1] >= 158
    )
