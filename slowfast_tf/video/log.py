"""Log each damaged video once."""

import logging
import os

_log = logging.getLogger("slowfast_tf")
_told = set()


def damage_message(path: str | os.PathLike, damaged: int, count: int) -> str:
    """Return a message that says how many of `count` frames are damaged and replaced."""
    return f"{path}: {damaged} of {count} frames cannot be decoded; other frames replace them"


def log_damage(path: str | os.PathLike, damaged: int, count: int) -> None:
    """Log `damage_message` once for each path if any frame is damaged."""
    if damaged:
        log_once(path, damage_message(path, damaged, count))


def log_once(key: str | os.PathLike, line: str) -> None:
    """Log a line once for each key, even if a video is read several times."""
    if key not in _told:
        _told.add(key)
        _log.warning("%s", line)
