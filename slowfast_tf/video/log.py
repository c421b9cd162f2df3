"""Log damaged videos, once each."""

import logging
import os

_log = logging.getLogger("slowfast_tf")
_told = set()


def damage_message(path: str | os.PathLike, damaged: int, count: int) -> str:
    """Return a line that says how many of `count` frames are damaged and replaced."""
    return f"{path}: {damaged} of {count} frames cannot be decoded; others stand in"


def log_damage(path: str | os.PathLike, damaged: int, count: int) -> None:
    """Log `damage_message` if any frame is damaged, once for each path."""
    if damaged:
        log_once(path, damage_message(path, damaged, count))


def log_once(key: str | os.PathLike, line: str) -> None:
    """Log a line once for each key, however often a video is read."""
    if key not in _told:
        _told.add(key)
        _log.warning("%s", line)
