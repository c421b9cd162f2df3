"""Keep what `probe` finds for the videos of a data set in one file, so that a run need not demux every video again."""

import base64
import functools
import hashlib
import json
import os
import threading
import zlib

import av
import numpy as np

from ..files.cache import cache_directory
from .probe import VideoInfo, believable_rate, probe

FILE = ".slowfast_tf_probe"
# Lines of another version have other checksums. Increase the number if `probe` or the form of a line changes.
_VERSION = zlib.crc32(f"3 {av.library_versions['libavformat']}".encode())


class ProbeIndex:
    """The results of `probe` for the videos of a data set, in the file `.slowfast_tf_probe` in its directory.

    New results go to a file in the cache directory if the data set cannot be written. If the cache directory cannot be
    written either, this process alone keeps them. A result is valid for one size and modification time of the video.

    The file is a list of lines, because data sets are on network disks, where SQLite's locks are not reliable. Each
    line is appended by one system call and has a checksum. A line that is damaged, because a process was killed or two
    machines wrote at the same place, is ignored: its video is probed again.

    Args:
        root: directory of the data set. Videos may be outside of it.

    Example:
        >>> ProbeIndex("data/mine").probe("data/mine/train/run/a.mp4").frames  # doctest: +SKIP
        300
    """

    def __init__(self, root: str | os.PathLike):
        self._root = os.path.join(os.path.abspath(root), "")
        name = hashlib.sha256(os.fsencode(self._root)).hexdigest()[:16]
        # The number of bytes of each file that have been read.
        self._read = {f"{self._root}{FILE}": 0, str(cache_directory("probe", name)): 0}
        # For 240,000 videos of ten seconds, the packed results take 70 MB, and the arrays would take 580 MB.
        self._packed: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def probe(self, path: str | os.PathLike) -> VideoInfo:
        """Return what `probe` returns, from the index if it has the video.

        Raises:
            VideoError: as `probe`.
        """
        try:
            about = os.stat(path)
        except OSError:
            return probe.__wrapped__(path)  # raises the error
        name = json.dumps(os.path.abspath(path).removeprefix(self._root))
        key = f"{about.st_size} {about.st_mtime_ns} {name}".encode()
        with self._lock:
            if key not in self._packed:
                self._update()  # another process may have probed the video
            packed = self._packed.get(key)
        info = _unpack(packed, about.st_size) if packed else None
        if info is None:
            info = probe.__wrapped__(path)  # without the cache, which would keep the result a second time
            packed = _pack(info)
            with self._lock:
                self._packed[key] = packed
            self._append(key + b"\t" + packed)
        return info

    def _update(self) -> None:
        """Read the lines that were added to the files."""
        for path, start in self._read.items():
            try:
                with open(path, "rb", opener=_open) as file:
                    if start > os.fstat(file.fileno()).st_size:  # another file than before
                        self._read[path] = start = 0
                    file.seek(start)
                    for line in file:
                        if line.endswith(b"\n"):  # else another process may be writing it
                            self._read[path] += len(line)
                        checksum, _, text = line.rstrip(b"\n").partition(b" ")
                        if checksum == _checksum(text):
                            key, _, packed = text.partition(b"\t")
                            self._packed[key] = packed
            except OSError:
                continue

    def _append(self, text: bytes) -> None:
        """Add a line to the first file that can be written."""
        line = b"\n%s %s\n" % (_checksum(text), text)  # the first line feed ends a line that was cut off
        for path in self._read:
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "ab", buffering=0, opener=_open) as file:
                    file.write(line)
                return
            except OSError:  # the directory cannot be written, or the disk is full
                continue


def probe_index(root: str | os.PathLike) -> ProbeIndex:
    """Return the index of a data set, the same for all splits."""
    return _opened(os.path.abspath(root))


_opened = functools.lru_cache(maxsize=4)(ProbeIndex)


def _open(path: str, flags: int) -> int:
    # A data set from elsewhere may hold a link to a file that should not be changed, or a pipe that would block.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text, _VERSION)


def _pack(info: VideoInfo) -> bytes:
    times = "-" if info.times is None else _pack_array(info.times)
    return f"{info.frames} {info.rate!r} {times} {_pack_array(info.keys)}".encode()


def _unpack(packed: bytes, size: int) -> VideoInfo | None:
    """Return the result that `_pack` packed; None if it cannot be one of a file of `size` bytes."""
    try:
        frames, rate, times, keys = packed.split(b" ")
        count = int(frames)
        # A frame has at least one byte. Without this limit, a short line could ask for any amount of memory.
        if not 0 < count <= size:
            return None
        times = None if times == b"-" else _unpack_array(times, count)
        info = VideoInfo(count, float(rate), times, _unpack_array(keys, count))
    except (ValueError, zlib.error):
        return None
    fits = believable_rate(info.rate) == info.rate and (info.times is None or len(info.times) == count)
    fits = fits and all(_ascend(values) for values in (info.keys, info.times) if values is not None)
    return info if fits and len(info.keys) and info.keys[0] == 0 and info.keys[-1] < count else None


def _pack_array(values: np.ndarray) -> str:
    """Pack differences, which are mostly equal: 300 times of a constant frame rate take 32 bytes."""
    return base64.b64encode(zlib.compress(np.diff(values, prepend=0).astype("<i8").tobytes(), 9)).decode()


def _unpack_array(packed: bytes, count: int) -> np.ndarray:
    """Unpack at most `count` values."""
    data = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), 8 * count)
    return np.cumsum(np.frombuffer(data, "<i8"), dtype=np.int64)


def _ascend(values: np.ndarray) -> bool:
    return bool(np.all(values[1:] > values[:-1]))
