"""Read files at addresses such as `s3://bucket/file`, through TensorFlow's file systems or fsspec."""

import contextlib
import hashlib
import os
import pathlib
import typing
from collections.abc import Iterator

from ..errors import InputError, RunError
from .atomic import atomic
from .cache import cache_directory

WEB = ("http://", "https://")


def is_remote(path: str | os.PathLike) -> bool:
    """Return whether a path is an address such as `s3://bucket/file`."""
    return "://" in str(path)


def is_native(path: str) -> bool:
    """Return whether TensorFlow can open a path without fsspec: a local path, or an address with a known scheme."""
    import tensorflow as tf

    return not is_remote(path) or path.split("://")[0] in tf.io.gfile.get_registered_schemes()


def fetch_file(address: str) -> pathlib.Path:
    """Return a local copy of a remote file. The file is downloaded again only if it has changed.

    A file of a web server has changed if its size, `ETag` or `Last-Modified` has. It is downloaded in every call if the
    server states neither header.

    Copies are kept in `slowfast_tf/remote` of Keras' cache directory (`$KERAS_HOME`, or `~/.keras`). Incomplete
    downloads are not kept.

    Args:
        address: address of a file. The scheme must be known to fsspec or registered by a plugin.

    Raises:
        InputError: if the scheme is unknown, or if the file does not exist or may not be read.
        RunError: if the download fails.

    Example:
        >>> fetch_file("s3://bucket/runs/model.keras").name
        'model.keras'
    """
    if is_native(address):
        import tensorflow as tf

        try:
            about = tf.io.gfile.stat(address)
            local = _local(address, f"{about.length} {about.mtime_nsec}")
            if not local.exists():
                with atomic(local) as temporary:
                    tf.io.gfile.copy(address, str(temporary))
        except tf.errors.OpError as error:
            raise InputError(f"{address}: cannot be read: {_line(error)}") from error
        return local
    with _failures(address):
        files, path = _file_system(address)
        version = _web_version(files, path) if address.startswith(WEB) else files.ukey(path)
        local = _local(address, version or "")
        if version is None or not local.exists():
            with atomic(local) as temporary:
                files.get_file(path, str(temporary))
    return local


def read_range(path: str, start: int, size: int) -> bytes:
    """Read a range of a file.

    Args:
        path: path of a local or remote file.
        start: first byte of the range.
        size: number of bytes to read.

    Returns:
        The bytes; fewer than `size` if the file ends earlier.

    Raises:
        InputError: if the file does not exist or may not be read.
        RunError: if the download fails.
    """
    import tensorflow as tf

    if is_remote(path) and not is_native(path):
        with _failures(path):
            files, inner = _file_system(path)
            return files.cat_file(inner, start=start, end=start + size)
    try:
        with tf.io.gfile.GFile(path, "rb") if is_remote(path) else open(path, "rb") as file:
            file.seek(start)
            return file.read(size)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or _line(error)}") from error


def _file_system(address: str) -> tuple[typing.Any, str]:
    """Return fsspec's file system for an address, and the path in it."""
    scheme = address.split("://")[0]
    try:
        import fsspec  # pyright: ignore[reportMissingImports]  # installed by the extra "remote"

        return fsspec.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{address}: nothing that reads {scheme}:// is installed ({_line(error)}); for s3 it is pip install"
            " 'slowfast_tf[remote]'"
        ) from error


@contextlib.contextmanager
def _failures(address: str) -> Iterator[None]:
    """Turn the errors of a file system into errors with a message of one line."""
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        cause = "no such file there" if isinstance(error, FileNotFoundError) else f"not allowed ({_line(error)})"
        raise InputError(f"{address}: cannot be read: {cause}") from error
    except InputError:
        raise
    except Exception as error:  # every file system raises its own errors
        raise RunError(f"{address}: cannot be downloaded: {_line(error) or type(error).__name__}") from error


def _web_version(files: typing.Any, path: str) -> str | None:
    """Return a text that differs between versions of a file on a web server; None if the server states no version.

    fsspec's `ukey` of such a file depends only on the address.
    """
    try:
        about = files.info(path)
    except FileNotFoundError:  # also raised if the server cannot be reached; the download tells them apart
        return None
    stated = [about.get(name) for name in ("ETag", "Last-Modified")]
    return f"{about.get('size')} {stated}" if any(stated) else None


def _local(address: str, version: str) -> pathlib.Path:
    """Return the local path for the copy of a version of a file."""
    # The name must keep its suffix, such as .keras: a signed address continues with ?X-Amz-Signature=...
    path = address.partition("?")[0] if address.startswith(WEB) else address
    digest = hashlib.sha256(f"{address} {version}".encode()).hexdigest()[:32]
    return cache_directory("remote", digest) / path.rstrip("/").rpartition("/")[2]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
