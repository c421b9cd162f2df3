"""What the log says of videos that are damaged."""

import logging

_log = logging.getLogger("slowfast_tf")
_told = set()


def damage_message(path, damaged, count):
    """A line on so many frames of all that others stand in for."""
    return f"{path}: {damaged} of {count} frames cannot be decoded; others stand in"


def log_damage(path, damaged, count):
    """Logs the line of `damage`, if there is any, once for each path."""
    if damaged:
        log_once(path, damage_message(path, damaged, count))


def log_once(key, line):
    """Logs a line, once for each key, however often a video is read."""
    if key not in _told:
        _told.add(key)
        _log.warning("%s", line)
