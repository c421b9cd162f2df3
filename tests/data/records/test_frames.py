"""The frames in records, with their size, rate and color, and their optical flow."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import coded, decode, numbers, write
from helpers.preparing import jpeg, pixels

from slowfast_tf import config
from slowfast_tf.data import Clips, flow, records
from slowfast_tf.data.records.frames import Frames
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.data.reference import Video
from slowfast_tf.errors import VideoError


def stored(video, **settings):
    """Return the numbers that a video's frames encode (see `coded_video`), and the `Frames`."""
    frames = Frames(video, config.Prepare(**settings))
    return numbers([pixels(image) for image, _ in frames]), frames


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A second and a half of numbered frames at 30 a second."""
    path = tmp_path_factory.mktemp("numbered") / "numbered.mp4"
    return write(path, [coded(i, 48, 64) for i in range(45)], g=10, bf=2, qp=10)


@pytest.mark.parametrize(
    "rate, expected",
    [
        (None, list(range(45))),
        (10.0, list(range(0, 45, 3))),
        (45.0, [round(i * 30 / 45) for i in range(68)][:67] + [44]),
    ],
)
def test_frame_rate_picks_the_nearest(numbered, rate, expected):
    found, frames = stored(Video(numbered, ()), frame_rate=rate)
    assert found == expected
    assert frames.rate == pytest.approx(rate or 30)
    np.testing.assert_allclose(frames.times, np.arange(len(expected)) / frames.rate)


def test_frame_rate_of_a_variable_rate(tmp_path):
    times = [0, 40, 80, 500, 540, 1000]  # milliseconds
    path = write(tmp_path / "v.mkv", [coded(i, 48, 64) for i in range(6)], times=times, bf=0)
    found, frames = stored(Video(path, ()))
    assert found == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(frames.times, np.array(times) / 1000, atol=1e-3)
    # 6 frames at 5 a second on average; at 10 a second the nearest of 0, 0.1, ... 1.1 s.
    found, frames = stored(Video(path, ()), frame_rate=10.0)
    assert found == [0, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 5]
    # A part that has few of its frames lasts as long: to 0.7 s, though three frames take 0.6 s on average.
    found, frames = stored(Video(path, (), span=(0.0, 0.52)), frame_rate=10.0)
    assert found == [0, 2, 2, 3, 3, 3, 3]


def test_the_middle_frame_alone(numbered):
    frames = Frames(Video(numbered, ()), config.Prepare())
    image, _ = frames.middle()
    assert numbers([pixels(image)]) == [22]
    assert len(list(frames)) == len(frames) == 45


def test_span(numbered):
    found, frames = stored(Video(numbered, (), span=(0.2, 0.5)))
    assert found == list(range(6, 15))
    assert frames.times[0] == pytest.approx(0.2)
    with pytest.raises(VideoError, match=r"no frame between 7 and 8 s; it lasts 1.50 s"):
        stored(Video(numbered, (), span=(7.0, 8.0)))


@pytest.mark.parametrize("size, expected", [((48, 65), (32, 43)), ((65, 48), (43, 32)), ((20, 30), (20, 30))])
def test_shorter_side_is_scaled_down_only(tmp_path, size, expected):
    path = write(tmp_path / "v.mp4", [coded(1, *size)] * 2, pix_fmt="yuv444p")
    frames = Frames(Video(path, ()), config.Prepare(short_side=32))
    assert {pixels(image).shape[:2] for image, _ in frames} == {expected}
    assert frames.size == expected


def test_odd_sizes_give_the_same_bytes_every_time(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 33, 45, 3)).astype(np.uint8)
    path = write(tmp_path / "v.mp4", noise, pix_fmt="yuv444p")

    def once(size):
        memory = np.full(size, size % 251, np.uint8)  # whatever lay there before must not matter
        del memory
        return b"".join(image for image, _ in Frames(Video(path, ()), config.Prepare()))

    assert len({once(size) for size in range(100, 20000, 311)}) == 1


@pytest.mark.parametrize("matrix", [None, "bt709", "smpte170m"])
def test_colors_are_those_of_the_video(tmp_path, matrix):
    colors = np.array([[200, 60, 50], [40, 180, 60], [60, 60, 200], [128, 128, 128]], np.uint8)
    image = np.repeat(np.repeat(colors[None], 32, 0), 32, 1)
    path = str(tmp_path / "v.mp4")
    write(path, [image] * 2, crf=1, **({"x264-params": f"colormatrix={matrix}"} if matrix else {}))
    (kept, _), _ = Frames(Video(path, ()), config.Prepare(quality=100))
    middles = slice(8, 24)
    kept, there = (x.reshape(32, 4, 32, 3)[middles, :, middles].mean((0, 2)) for x in (pixels(kept), decode(path)[0]))
    np.testing.assert_allclose(kept, there, atol=4)


def test_folder_of_images(tmp_path):
    images = [jpeg(coded(i, 48, 64)) for i in range(6)]
    images[0] = images[0][: len(images[0]) // 2]
    images[3] = b"no image"
    for i, image in enumerate(images):
        (tmp_path / f"abc-{i:06d}.jpg").write_bytes(image)
    (tmp_path / "notes.txt").write_text("no image either")
    video = Video(str(tmp_path), (), rate=24.0)
    kept = [image for image, _ in Frames(video, config.Prepare())]
    assert kept == [images[i] for i in (1, 1, 2, 2, 4, 5)]  # as they are; another stands in for a damaged one
    frames = Frames(video, config.Prepare())
    list(frames)
    assert frames.problems == [f"{tmp_path}: 2 of 6 frames cannot be decoded; other frames replace them"]
    found, frames = stored(video, short_side=32, frame_rate=12.0)
    assert found == [2, 2, 4]
    assert frames.size == (32, 42)
    assert frames.times.tolist() == [0, 1 / 12, 2 / 12]


def test_a_video_with_less_than_half_of_its_frames(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(coded(i)) if i % 3 == 0 else b"")
    with pytest.raises(VideoError, match="3 of 5 frames cannot be decoded"):
        list(Frames(Video(str(tmp_path), (), rate=24.0), config.Prepare()))


def test_folders_of_a_list(configure, tmp_path):
    """Directories of frames beside a video, from a list to batches and to records."""
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(36):
            (tmp_path / "data" / name / f"{i:03d}.jpg").write_bytes(jpeg(coded(i, 48, 64)))
    write(tmp_path / "data" / "c.mp4", [coded(i, 48, 64) for i in range(36)])
    for split in ("train", "val"):
        (tmp_path / "data" / f"{split}.csv").write_text("a 0\nb 1\nc.mp4 2\n")
    files = configure("data.dataset=lists", f"data.root={tmp_path / 'data'}", "test.clips=1")
    prepare(files, str(tmp_path / "records"))
    index = records.read_index(str(tmp_path / "records")).splits
    assert {(split.videos, split.frames) for split in index.values()} == {(3, 108)}
    for settings in (files, configure("data.dataset=records", f"data.root={tmp_path / 'records'}", "test.clips=1")):
        (batch,) = Clips(settings, "val").validation()
        assert sorted(batch[1].numpy().argmax(1)) == [0, 1, 2]
        fast = batch[0]["fast"].numpy()
        np.testing.assert_allclose(fast[1:], fast[:1].repeat(2, 0), atol=0.2)  # the video is what the folders are


def test_folder_without_an_image(tmp_path):
    with pytest.raises(VideoError, match="holds no JPEG image"):
        Frames(Video(str(tmp_path), (), rate=24.0), config.Prepare())
    (tmp_path / "1.jpg").write_bytes(b"no image")
    with pytest.raises(VideoError, match="none of its 1 images can be decoded"):
        list(Frames(Video(str(tmp_path), (), rate=24.0), config.Prepare()))


def test_flow_of_a_moving_texture(tmp_path):
    random = np.random.default_rng(0)
    noise = np.fft.fft2(random.normal(size=(128, 160)))
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(160)[None])
    texture = np.fft.ifft2(noise * np.exp(-((frequency * 10) ** 2))).real
    texture = np.clip(128 + 50 * texture / texture.std(), 0, 255).astype(np.uint8)
    # What was at (x, y) is at (x + 3, y - 2) in the next frame.
    images = [np.repeat(np.roll(texture, (-2 * i, 3 * i), (0, 1))[..., None], 3, -1) for i in range(4)]
    path = write(tmp_path / "v.mp4", images, qp=5)
    flows = [image for _, image in Frames(Video(path, ()), config.Prepare(flow=True))]
    found = flow.decode(tf.constant(flows)).numpy()
    assert found.shape == (4, 128, 160, 2)
    assert not found[0].any()
    middle = found[1:, 24:-24, 24:-24]
    np.testing.assert_allclose(np.median(middle, (1, 2)), [[3, -2]] * 3, atol=0.15)
    assert (np.abs(middle - [3, -2]) < 0.3).mean() > 0.95


def test_flow_is_cut_off_at_20_pixels():
    image = np.full((32, 32, 3), (255, 1, 128), np.uint8)
    np.testing.assert_allclose(flow.decode(tf.constant([jpeg(image, 100)]))[0, 16, 16], [20, -20], atol=0.2)
