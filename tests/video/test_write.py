"""Videos written again: sound, sizes, times."""

import fractions

import av
import numpy as np
import pytest
from helpers.coded_video import decode, write
from helpers.packets import packets

from slowfast_tf.video.probe import frame_times, probe
from slowfast_tf.video.write import rewrite


def square(time, height=96, width=128):
    """A bright square that moves to the right by a pixel every second frame."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[30:60, 10 + time // 2 : 40 + time // 2] = 220
    return image


def write_with_sound(path, codec, tone, rate):
    """Write 20 frames of an odd size at 10 a second, and mono sound."""
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", 10), container.add_stream(codec, rate, layout="mono")
        pictures.height, pictures.width, pictures.pix_fmt = 51, 75, "yuv444p"
        for t in range(20):
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


def test_frames_at_irregular_times(tmp_path):
    times = [0, 40, 80, 400, 440, 1000]
    path = write(tmp_path / "uneven.mkv", [square(t) for t in range(6)], times=times)
    assert frame_times(probe(path)) == pytest.approx(np.array(times) / 1000)
    rewrite(path, tmp_path / "out.mp4", lambda image, time: image)
    assert [time for time, _ in packets(tmp_path / "out.mp4", "video")[1]] == pytest.approx(np.array(times) / 1000)
