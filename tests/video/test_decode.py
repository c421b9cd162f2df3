"""Frames out of real files, by the number that each carries in its pixels and against a plain decoding loop."""

import json
import os
import pathlib
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
from helpers.coded_video import coded, decode, numbers, write
from helpers.damage import streams_with_another
from helpers.processes import AS_COMMAND

from slowfast_tf.benchmarks.preparing import ffmpeg_program
from slowfast_tf.data.reference import Video, resolve
from slowfast_tf.errors import OutsideError, VideoError
from slowfast_tf.video.decode import read_frames, reduction
from slowfast_tf.video.images import list_images
from slowfast_tf.video.probe import frame_times, probe

COUNT = 50
CLIPS = pathlib.Path(__file__).parents[3] / "shared" / "videos"

FORMATS = {
    "h264.mp4": {"bf": 3, "g": 12, "x264-params": "scenecut=0:b-adapt=0"},
    "h264.mkv": {"bf": 2, "g": 10},
    "h264.ts": {"bf": 2, "g": 10},
    "open_gop.mp4": {"bf": 3, "g": 12, "x264-params": "open-gop=1:scenecut=0"},
    "open_gop.mkv": {"bf": 3, "g": 12, "x264-params": "open-gop=1:scenecut=0"},
    # Key frames so close that the decoding time of one is before the display time of another.
    "neighbours.mp4": {"bf": 3, "keys": (7, 8, 9, 20, 22, 30, 31), "x264-params": "scenecut=0:b-adapt=0"},
    "neighbours.mkv": {"bf": 3, "keys": (7, 8, 9, 20, 22, 30, 31)},
    "fragments.mp4": {"bf": 2, "g": 10, "container": {"movflags": "frag_keyframe+empty_moov"}},
    "live.mkv": {"bf": 2, "g": 10, "container": {"live": "1"}},  # no table of key frames
    "mpeg4.avi": {"codec": "mpeg4", "bf": 2, "g": 12, "qscale": 2},
    "mpeg4.mp4": {"codec": "mpeg4", "bf": 2, "g": 12},
    "mpeg4_no_b.mp4": {"codec": "mpeg4", "bf": 0, "g": 12},
    "mpeg2.mpg": {"codec": "mpeg2video", "bf": 2, "g": 12},
    "vp9.webm": {"codec": "libvpx-vp9", "g": 12, "deadline": "realtime", "cpu-used": 8},
    "mjpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}


def write_coded(path, count=COUNT, size=(32, 64), **options):
    try:
        av.codec.Codec(options.get("codec", "libx264"), "w")
    except av.error.FFmpegError:
        pytest.skip(f"this PyAV cannot write {options['codec']}")
    return write(path, [coded(i, *size) for i in range(count)], **options)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module", params=FORMATS)
def path(request, directory):
    return write_coded(directory / request.param, **FORMATS[request.param])


def check(path, wanted, count=COUNT):
    frames = read_frames(path, wanted)
    assert frames.dtype == np.uint8 and len(frames) == len(wanted)
    assert numbers(frames) == [min(max(int(i), 0), count - 1) for i in wanted]


def test_every_frame_alone(path):
    assert probe(path).frames == COUNT
    assert numbers(decode(path)) == list(range(COUNT))  # the file has all frames
    for i in range(COUNT):
        check(path, [i])


def test_any_frames_in_any_order(path):
    check(path, range(COUNT))
    check(path, [31, 2, 2, 49, 0, 31, 30])
    check(path, [-3, 48, 49, 50, 1000])
    random = np.random.default_rng(0)
    for _ in range(10):
        check(path, random.integers(0, COUNT + 5, random.integers(1, 9)))


def test_pixels_equal_those_of_a_plain_loop(path):
    np.testing.assert_array_equal(read_frames(path, range(3, COUNT, 7)), decode(path)[3::7])


def test_mpeg_program_streams(tmp_path):
    """After a seek in this file, FFmpeg gives frames the times of later frames."""
    noise = np.random.default_rng(0)
    images = [coded(i, 48, 64) for i in range(120)]
    for image in images:
        image[-12:] = noise.integers(0, 60, (12, 64, 3))
    path = write(tmp_path / "long.mpg", images, codec="mpeg2video", rate=25, bf=2, g=12)
    for i in range(120):
        check(path, [i], 120)


def test_the_test_files_are_damaged_as_intended(directory):
    """Files have B-frames and several key frames: otherwise, the tests above would be too easy."""
    for name in ("h264.mp4", "mpeg4.avi", "neighbours.mp4"):
        with av.open(write_coded(directory / f"hard_{name}", **FORMATS[name])) as container:
            packets = [p for p in container.demux(video=0) if p.size]
        with av.open(str(directory / f"hard_{name}")) as container:
            kinds = [av.video.frame.PictureType(frame.pict_type).name for frame in container.decode(video=0)]
        assert sum(p.is_keyframe for p in packets) >= 4 and kinds.count("B") >= 10, name


@pytest.mark.parametrize("name, codec, pix_fmt", [("odd.mp4", "libx264", "yuv444p"), ("odd.avi", "mpeg4", "yuv420p")])
@pytest.mark.parametrize("size", [(35, 51), (51, 35)])
def test_odd_sizes(tmp_path, name, codec, pix_fmt, size):
    path = write_coded(tmp_path / name, 20, size, codec=codec, pix_fmt=pix_fmt)
    assert read_frames(path, [4]).shape == (1, *size, 3)
    check(path, [3, 19, 7], 20)


@pytest.mark.parametrize(
    "name, options",
    [
        ("v.mkv", {"bf": 2}),
        ("v.mp4", {"bf": 2}),
        ("mpeg4.mkv", {"codec": "mpeg4", "bf": 0}),
        ("mpeg4.mp4", {"codec": "mpeg4", "bf": 0}),
        ("mpeg4.3gp", {"codec": "mpeg4", "bf": 0}),
    ],
)
def test_variable_frame_rate(tmp_path, name, options):
    times = np.cumsum([0] + [(20, 33, 400, 61)[i % 4] for i in range(39)])
    path = write_coded(tmp_path / name, 40, times=times.tolist(), g=9, **options)
    for i in range(40):
        check(path, [i], 40)
    info = probe(path)
    assert info.rate == pytest.approx(39 / (times[-1] / 1000), rel=1e-2)
    np.testing.assert_allclose(frame_times(info), times / 1000, rtol=1e-2)


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_mpeg4_copied_from_avi(tmp_path, name, b_frames):
    """AVI has no display times, so FFmpeg guesses them for the copy; the guesses are right only without B-frames."""
    source, path = write_coded(tmp_path / "v.avi", codec="mpeg4", bf=b_frames, g=12), tmp_path / name
    command = [ffmpeg_program(), "-v", "error", "-fflags", "+genpts", "-i", source, "-c", "copy", path]
    subprocess.run(command, check=True)
    info = probe(path)
    np.testing.assert_allclose(frame_times(info), np.arange(COUNT) / 30, atol=2e-3)
    assert (info.times is None) == (b_frames > 0)
    check(path, [0, 1, 2, 17, 30, 49])


def test_frame_rate(path):
    assert probe(path).rate == pytest.approx(30, rel=1e-2)


# The matrix of a track header (ISO 14496-12, 8.3.2) takes a stored point (x, y) to (a x + c y, b x + d y), y downwards:
# (0, 1, -1, 0) takes right to down and down to left, a quarter turn clockwise.
@pytest.mark.parametrize("matrix, turns", [((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3)])
def test_rotated_pictures_come_out_upright(tmp_path, matrix, turns):
    upright = [coded(i, 48, 64) for i in range(20)]
    stored = [np.ascontiguousarray(np.rot90(image, turns)) for image in upright]  # counterclockwise, to be undone
    path = tmp_path / "turned.mp4"
    write(path, stored)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    one = 1 << 16
    assert struct.unpack(">9i", content[at : at + 36]) == (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    a, b, c, d = (one * x for x in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    frames = read_frames(str(path), [5, 17, 0])
    assert frames.shape == (3, 48, 64, 3)
    assert numbers(frames) == [5, 17, 0]
    frames = read_frames(str(path), [5, 17, 0], 24)
    assert frames.shape == (3, 24, 32, 3)
    assert numbers(frames) == [5, 17, 0]


def test_sound_in_front(tmp_path):
    path = write_coded(tmp_path / "v.mp4", 30, audio=True, g=10, bf=2)
    with av.open(path) as container:
        assert container.streams[0].type == "audio"
    assert probe(path).frames == 30
    check(path, [0, 17, 29, 4], 30)


def test_one_frame(tmp_path):
    path = write_coded(tmp_path / "v.mp4", 1)
    assert probe(path).frames == 1
    check(path, [0, 0, 9], 1)


def test_pathlib(tmp_path):
    write_coded(tmp_path / "v.mp4", 4)
    check(tmp_path / "v.mp4", [2], 4)


def refused(path):
    """The message for a video that cannot be read, which must be one line that names it."""
    with pytest.raises(VideoError) as error:
        read_frames(str(path), [0])
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) > len(f"{path}: ")
    return message


def test_files_without_video(tmp_path):
    assert "No such file" in refused(tmp_path / "missing.mp4")
    assert refused(tmp_path)  # a directory
    (tmp_path / "text.mp4").write_text("This is a letter, not a video.\n" * 100)
    refused(tmp_path / "text.mp4")
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4")


def test_sound_alone(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", 16000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        silence.sample_rate, silence.pts = 16000, 0
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    assert "no video stream" in refused(tmp_path / "sound.mp4")


def test_an_implausible_size(tmp_path, monkeypatch):
    path = write_coded(tmp_path / "v.mp4", 2)
    monkeypatch.setattr("slowfast_tf.video.probe.MAX_PIXELS", 32 * 64)
    check(path, [1], 2)
    monkeypatch.setattr("slowfast_tf.video.probe.MAX_PIXELS", 32 * 64 - 1)
    probe.cache_clear()
    assert "64 x 32" in refused(path)


def test_truncated(tmp_path):
    """Frames before the cut are right, or the file is refused."""
    read = 0
    for name in ("h264.mkv", "mpeg4.avi", "h264.ts", "h264.mp4"):
        whole = pathlib.Path(write_coded(tmp_path / f"whole_{name}", **FORMATS[name])).read_bytes()
        for share in (0.02, 0.4, 0.8):
            path = tmp_path / f"{share}_{name}"
            path.write_bytes(whole[: int(len(whole) * share)])
            try:
                # The last frames before the cut may be incomplete.
                assert numbers(read_frames(str(path), [0, 5])) == [0, 5], path
                read += 1
            except VideoError as error:
                assert str(path) in str(error)
    assert read >= 4


READ_ALL = """
import json, sys
from slowfast_tf.errors import VideoError
from slowfast_tf.video.decode import read_frames
for path in sys.argv[1:]:
    try:
        frames = read_frames(path, range(0, 60, 3))
        print(json.dumps([path, list(frames.shape)]), flush=True)
    except VideoError as error:
        assert path in str(error) and "\\n" not in str(error)
        print(json.dumps([path, None]), flush=True)
"""


def test_flipped_bytes(tmp_path):
    """Damaged files are read or refused, without a crash or a hang. Frames have the right shape."""
    random = np.random.default_rng(0)
    paths = []
    for name in ("h264.mp4", "h264.mkv", "mpeg4.avi", "vp9.webm", "h264.ts"):
        whole = np.fromfile(write_coded(tmp_path / name, **FORMATS[name]), np.uint8)
        for i in range(8):
            content = whole.copy()
            at = random.integers(len(content) // 10, len(content), 5 * (i + 1))
            content[at] = random.integers(0, 256, len(at))
            paths.append(str(tmp_path / f"{i}_{name}"))
            content.tofile(paths[-1])
    done = subprocess.run(
        [sys.executable, "-c", AS_COMMAND + READ_ALL, *paths], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [path for path, _ in results] == paths
    shapes = [shape for _, shape in results if shape]
    assert len(shapes) >= 20 and all(shape == [20, 32, 64, 3] for shape in shapes), results


def test_a_damaged_frame_is_replaced_by_the_one_before(tmp_path, caplog):
    path = pathlib.Path(write_coded(tmp_path / "v.avi", 20, codec="mjpeg", pix_fmt="yuvj420p"))
    content = path.read_bytes()
    movie = content.index(b"movi")
    at = [i for i in range(movie, len(content)) if content.startswith(b"00dc", i)][7]
    size = struct.unpack("<I", content[at + 4 : at + 8])[0]
    path.write_bytes(content[: at + 8] + bytes(size) + content[at + 8 + size :])
    assert numbers(read_frames(str(path), [5, 6, 8])) == [5, 6, 8]
    assert not caplog.messages
    for _ in range(2):
        assert numbers(read_frames(str(path), [5, 7, 9]))[1] in (6, 8)
    # Once for each file.
    assert caplog.messages == [f"{path}: 1 of 3 frames cannot be decoded; other frames replace them"]


@pytest.mark.parametrize("name", ["arm_wrestling.mp4", "people_6fps.mp4", "short.avi"])
def test_real_clips(name):
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this repository")
    frames = decode(path)
    assert probe(str(path)).frames == len(frames)
    last = len(frames) - 1
    wanted = [last, 0, last // 2, last // 3, last // 3 + 1, last // 2, last + 5]
    np.testing.assert_array_equal(read_frames(str(path), wanted), frames[np.minimum(wanted, last)])


@pytest.mark.parametrize(
    "size, short_side, expected",
    [
        ((1080, 1920), 256, 4),
        ((1920, 1080), 256, 4),
        ((4320, 7680), 224, 16),
        ((512, 700), 256, 2),
        ((511, 700), 256, 1),
        ((100, 200), 256, 1),
        ((1080, 1920), None, 1),
    ],
)
def test_reduction_keeps_the_needed_size(size, short_side, expected):
    assert reduction(*size, short_side) == expected


def test_downscaled_frames_are_means(tmp_path):
    """Compares smooth pictures with NumPy's means over 4 x 4 pixels."""
    rows, columns = np.mgrid[:96, :160]
    images = [
        np.stack([100 + 80 * np.sin(rows / 15 + t), 128 + columns / 2, 200 - rows + 0 * columns], -1).astype(np.uint8)
        for t in range(6)
    ]
    path = write(tmp_path / "v.mp4", images, pix_fmt="yuv444p", qp=1)
    whole = read_frames(path, [1, 4])
    small = read_frames(path, [1, 4], 20)
    assert small.shape == (2, 24, 40, 3)
    expected = whole.reshape(2, 24, 4, 40, 4, 3).astype(float).mean((2, 4))
    assert np.abs(small - expected).max() < 3 and np.abs(small - expected).mean() < 1
    np.testing.assert_array_equal(read_frames(path, [1, 4], 97), whole)


def test_optical_flow_files_are_not_read_as_images(tmp_path):
    for name in ("img_00001.jpg", "img_00002.JPG", "flow_x_00001.jpg", "flow_y_00001.jpg", "._img_00001.jpg", "a.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.rsplit("/")[-1] for path in list_images(str(tmp_path))[0]] == ["img_00001.jpg", "img_00002.JPG"]


def test_footage(tmp_path):
    """The nearest frame in time, in a file whose frames are not even in time."""
    times = [0, 40, 80, 400, 440, 1000, 2000, 3000]
    path = write(tmp_path / "v.mkv", [coded(i) for i in range(8)], times=times)
    for key, expected in ((0.0, 0), (0.41, 3), (0.43, 4), (0.9, 5), (3.4, 7)):
        assert resolve(Video(path, (), key=key)).key == expected
    there = resolve(Video(path, (), span=(0.4, 2.0), key=1.1))
    assert (there.first, there.last, there.key) == (3, 6, 2)
    np.testing.assert_allclose(there.times, np.array(times) / 1000, atol=2e-3)
    # The last frame lasts as long as the mean one, to 3.43 s.
    words = r"^list.csv:7: the key frame at 4 s is past the end; .*v.mkv lasts 3.43 s"
    with pytest.raises(OutsideError, match=words):
        resolve(Video(path, (), key=4.0, origin="list.csv:7"))
    labels = ((1, 0.0, float("inf")), (2, 1.0, 5.4), (3, 3.5, 4.0), (4, 1.0, 5.5))
    there = resolve(Video(path, labels, origin="list.csv:3"))
    assert there.labels == labels[:2]
    assert [problem.split(";")[0] for problem in there.problems] == [
        "list.csv:3: a label from 3.5 to 4 s is not within the video",
        "list.csv:3: a label from 1 to 5.5 s is not within the video",
    ]


def test_images_are_ordered_by_number(tmp_path):
    """Numbers without padding are in order; a gap moves the later frames, unless the numbers have another step."""

    def footage(*numbers):
        folder = tmp_path / "-".join(map(str, numbers))
        folder.mkdir()
        for number in numbers:
            (folder / f"img_{number}.jpg").touch()
        return resolve(Video(str(folder), (), rate=10.0, key=0.7, origin="list:1"))

    there = footage(8, 9, 10, 14, 15, 16)
    assert [pathlib.Path(path).stem for path in there.images] == [f"img_{i}" for i in (8, 9, 10, 14, 15, 16)]
    np.testing.assert_allclose(there.times, [0, 0.1, 0.2, 0.6, 0.7, 0.8])
    assert there.key == 4
    (problem,) = there.problems
    assert problem.endswith("images are missing (3), such as those after img_10.jpg")
    for others in ((0, 5, 10, 15, 20, 25, 30, 35), (1, 2, 3, 4, 5, 6, 7, 90_000), range(3, 11)):
        there = footage(*others)
        np.testing.assert_allclose(there.times, np.arange(8) / 10)
        assert not there.problems


def test_a_damaged_packet_of_a_transport_stream(tmp_path):
    """A flipped bit in the stream number of a packet adds a stream, at whose end PyAV raises an IndexError."""
    path = pathlib.Path(write_coded(tmp_path / "v.ts", 60, bf=2, g=15))
    shapes = {read_frames(path, range(50)).shape for _ in streams_with_another(path)}
    assert shapes == {(50, 32, 64, 3)}


def test_files_that_are_not_videos(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        sound, cover = container.add_stream("aac", 16000), container.add_stream("mjpeg", 1)
        cover.width, cover.height, cover.pix_fmt = 64, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        silence.sample_rate, silence.pts = 16000, 0
        for stream, frame in (sound, silence), (cover, av.VideoFrame.from_ndarray(coded(1), "rgb24")):
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    for name, said in ("pipe", "is not a file"), ("folder", "is not a file"), ("song", "holds no video stream"):
        with pytest.raises(VideoError, match=rf"{name}\.mp4: {said}"):
            probe(str(tmp_path / f"{name}.mp4"))


def test_a_colon_in_a_name_is_not_a_protocol(tmp_path, monkeypatch):
    write_coded(tmp_path / "v.mp4", 8)
    (tmp_path / "v.mp4").rename(tmp_path / "http:v.mp4")
    monkeypatch.chdir(tmp_path)
    assert numbers(read_frames("http:v.mp4", [3, 7])) == [3, 7]


@pytest.mark.parametrize("scale, rate, expected", [(1, 2**31 - 1, 30), (2**31 - 1, 1, 25), (1, 24, 24)])
def test_an_implausible_rate_is_ignored(tmp_path, scale, rate, expected):
    """The rate in the stream's own headers counts instead, or else 25."""
    path = pathlib.Path(write_coded(tmp_path / "v.avi", 8, codec="mpeg4", qscale=2))
    content = bytearray(path.read_bytes())
    struct.pack_into("<II", content, content.index(b"strh") + 28, scale, rate)
    path.write_bytes(content)
    assert probe(str(path)).rate == expected


def test_frames_that_are_never_shown(tmp_path, caplog):
    """VP8's alternate reference frames are packets but are never shown. Only two-pass encoding makes them."""
    source, path = write_coded(tmp_path / "source.mp4", 60), str(tmp_path / "v.webm")
    options = "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -arnr-maxframes 5 -arnr-strength 3 -b:v 300k -cpu-used 4"
    for number, target in (("1", ["-f", "null", "-"]), ("2", [path])):
        command = [ffmpeg_program(), "-v", "error", "-i", source, *options.split(), "-pass", number, *target]
        subprocess.run(command, check=True, cwd=tmp_path)
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) > len(decode(path)) == 60
    check(path, [0, 17, 30, 59], 60)
    assert probe(path).times is not None and not caplog.messages
