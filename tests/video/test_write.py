"""Videos written again: sound, sizes, times."""

import fractions
import itertools

import av
import av.error
import numpy as np
import pytest
from helpers.coded_video import decode, write
from helpers.damage import streams_with_another
from helpers.packets import packets

from slowfast_tf.errors import RunError
from slowfast_tf.video import write as write_module
from slowfast_tf.video.probe import frame_times, probe
from slowfast_tf.video.write import rewrite


def square(time, height=96, width=128):
    """A bright square that moves to the right by a pixel every second frame."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[30:60, 10 + time // 2 : 40 + time // 2] = 220
    return image


def write_with_sound(path, codec, tone, rate, count=20):
    """Write `count` frames of an odd size at 10 a second, and mono sound."""
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", 10), container.add_stream(codec, rate, layout="mono")
        pictures.height, pictures.width, pictures.pix_fmt = 51, 75, "yuv444p"
        for t in range(count):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(square(t)[:51, :75].copy(), "rgb24")))
        frame = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, fractions.Fraction(1, rate)
        resampler = av.AudioResampler(sound.codec_context.format, "mono", rate, sound.codec_context.frame_size or None)
        for part in resampler.resample(frame) + resampler.resample(None):
            container.mux(sound.encode(part))
        container.mux(pictures.encode())
        container.mux(sound.encode())


@pytest.mark.parametrize("codec, kept", [("pcm_s16le", False), ("libmp3lame", True)])
def test_sound_of_other_kinds(codec, kept, tmp_path):
    """An odd width or height loses a pixel. Sound keeps its pitch and its time."""
    path, rate = tmp_path / "odd.mkv", 16_000
    tone = (8000 * np.sin(np.arange(rate * 2) * 2 * np.pi * 440 / rate)).astype(np.int16)
    tone[:rate] = 0  # a second of silence first
    write_with_sound(path, codec, tone, rate)
    rewrite(path, tmp_path / "out.mp4", lambda image, time: image)
    assert decode(tmp_path / "out.mp4").shape == (20, 50, 74, 3)
    assert packets(tmp_path / "out.mp4", "audio")[0] == ("mp3float" if kept else "aac")
    with av.open(str(tmp_path / "out.mp4")) as container:
        parts = [(f.time, f.to_ndarray().reshape(-1).astype(float)) for f in container.decode(audio=0)]
    heard = np.concatenate([part for _, part in parts])
    scale = np.abs(heard).max()
    start = parts[0][0] + np.argmax(np.abs(heard) > 0.3 * scale) / rate
    assert start == pytest.approx(1.0, abs=0.1) and len(heard) / rate == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("damage", [bytes([255] * 8), bytes([0xFF, 0xFD, 0x24])])
def test_damaged_sound(damage, tmp_path):
    """A packet that cannot be decoded, or whose header tells another sample rate (44.1 kHz), is left out."""
    path, rate = tmp_path / "a.mkv", 16_000
    write_with_sound(path, "mp2", np.random.default_rng(0).integers(-8000, 8000, rate * 2).astype(np.int16), rate)
    content, found = bytearray(path.read_bytes()), packets(path, "audio")[1]
    at = content.index(found[10][1])
    content[at : at + len(damage)] = damage
    path.write_bytes(content)
    rewrite(path, tmp_path / "out.mp4", lambda image, time: image)
    assert len(decode(tmp_path / "out.mp4")) == 20
    with av.open(str(tmp_path / "out.mp4")) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0)) / rate
    assert heard == pytest.approx(2.0, abs=0.2)


def noise(rate):
    return np.random.default_rng(0).integers(-8000, 8000, rate * 2).astype(np.int16)


def check_copy(path, output, seconds, frames=20, slack=0.2):
    """Rewrite a video; compare its number of frames and the duration of its sound."""
    rewrite(path, output, lambda image, time: image)
    assert len(decode(output)) == frames
    with av.open(str(output)) as container:
        parts = list(container.decode(audio=0)) if container.streams.audio else []
    assert sum(part.samples / part.sample_rate for part in parts) == pytest.approx(seconds, abs=slack)


@pytest.mark.parametrize(
    "name, codec, rate, kept",
    [
        ("a.avi", "libmp3lame", 11_025, 11_025),  # MP4 allows MP3 from 16 kHz
        ("a.mkv", "libmp3lame", 8_000, 8_000),
        ("a.mkv", "pcm_s16le", 192_000, 96_000),  # AAC has 13 sample rates, from 7350 Hz to 96 kHz
        ("a.mkv", "pcm_s16le", 5_512, 7_350),
    ],
)
def test_sample_rates_that_mp4_does_not_allow(name, codec, rate, kept, tmp_path, caplog):
    write_with_sound(tmp_path / name, codec, noise(rate), rate)
    check_copy(tmp_path / name, tmp_path / "out.mp4", 2.0, slack=0.3)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert (container.streams.audio[0].name, container.streams.audio[0].sample_rate) == ("aac", kept)
    assert not caplog.messages


@pytest.mark.parametrize("codec", ["aac", "mp2"])
def test_sound_of_a_file_that_starts_over(codec, tmp_path, caplog):
    """As after `cat a.ts b.ts`: the sound of the second part follows that of the first."""
    part, path = tmp_path / "part.ts", tmp_path / "whole.ts"
    write_with_sound(part, codec, noise(16_000), 16_000)
    path.write_bytes(part.read_bytes() * 2)
    check_copy(path, tmp_path / "out.mp4", 4.0, 40, slack=0.4)
    times = [time for time, _ in packets(tmp_path / "out.mp4", "audio")[1]]
    assert np.diff(times).max() < 0.2 and not caplog.messages


def test_sound_with_damage(tmp_path, caplog):
    """The header of an AAC packet is overwritten: FFmpeg cannot convert this packet for MP4."""
    path = tmp_path / "a.ts"
    write_with_sound(path, "aac", noise(16_000), 16_000)
    content, headers = bytearray(path.read_bytes()), b"\xff\xf1"
    at = [i for i in range(len(content)) if content.startswith(headers, i)][12]
    content[at + 1] = 0
    path.write_bytes(content)
    check_copy(path, tmp_path / "out.mp4", 2.0, slack=0.4)
    (line,) = caplog.messages
    assert line.startswith(f"{path}: sound is left out of the written video: Invalid data found")


def test_damage_that_looks_like_a_stream(tmp_path):
    """At the end of these files, PyAV raises an IndexError."""
    path, found = tmp_path / "a.ts", []
    write_with_sound(path, "aac", noise(16_000), 16_000, 60)
    for _ in itertools.islice(streams_with_another(path, "audio", bit=2), 2):
        rewrite(path, tmp_path / "out.mp4", lambda image, time: image)
        found.append(len(decode(tmp_path / "out.mp4")))
    assert len(found) == 2 and min(found) >= 50


def test_sound_of_an_unknown_codec(tmp_path, caplog):
    path = tmp_path / "a.mkv"
    write_with_sound(path, "pcm_s16le", noise(16_000), 16_000)
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    check_copy(path, tmp_path / "out.mp4", 0)
    assert caplog.messages == [f"{path}: sound is left out of the written video: its codec is unknown"]


def test_sound_that_cannot_be_read_to_its_end(tmp_path, caplog, monkeypatch):
    path, read = tmp_path / "a.mkv", write_module.demux
    write_with_sound(path, "mp2", noise(16_000), 16_000)

    def broken(container, stream):
        for packet in read(container, stream):
            if packet.size and packet.pts * stream.time_base > 1:
                raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input", str(path))
            yield packet

    monkeypatch.setattr(write_module, "demux", broken)
    check_copy(path, tmp_path / "out.mp4", 1.0)
    (line,) = caplog.messages
    assert line.startswith(f"{path}: sound is left out of the written video: Invalid data found")


@pytest.mark.parametrize("codec", ["libmp3lame", "pcm_s16le"])
def test_a_full_disk_is_no_problem_of_the_sound(codec, disk, tmp_path):
    place, resize = disk
    write_with_sound(tmp_path / "a.mkv", codec, noise(48_000), 48_000)
    resize(8 << 10)
    with pytest.raises(RunError, match="the disk is full"):
        rewrite(tmp_path / "a.mkv", place / "out.mp4", lambda image, time: image)
    assert not list(place.iterdir())


def test_frames_at_irregular_times(tmp_path):
    times = [0, 40, 80, 400, 440, 1000]
    path = write(tmp_path / "uneven.mkv", [square(t) for t in range(6)], times=times)
    assert frame_times(probe(path)) == pytest.approx(np.array(times) / 1000)
    rewrite(path, tmp_path / "out.mp4", lambda image, time: image)
    assert [time for time, _ in packets(tmp_path / "out.mp4", "video")[1]] == pytest.approx(np.array(times) / 1000)
