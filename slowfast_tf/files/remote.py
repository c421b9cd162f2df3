"""Files at addresses such as `s3://bucket/file`, by TensorFlow's own file systems or by way of fsspec."""

import contextlib
import hashlib

from ..errors import InputError, RunError
from .atomic import atomic
from .cache import cache_directory


def is_remote(path):
    """Whether a path is an address."""
    return "://" in str(path)


def is_native(path):
    """Whether TensorFlow reads a path itself: a local file, or an address that a plugin has registered."""
    import tensorflow as tf

    return not is_remote(path) or path.split("://")[0] in tf.io.gfile.get_registered_schemes()


def fetch(address):
    """A local copy of a remote file, downloaded whole or not at all, and once as long as it does not change there.

    Copies are kept in `slowfast_tf/remote` of Keras' cache directory (`$KERAS_HOME`, or `~/.keras`).

    Args:
        address: of a file; fsspec knows the scheme, or a plugin does.

    Returns:
        A `pathlib.Path`.

    Raises:
        InputError: where nothing knows the scheme, or the file is not there or not for us.
        RunError: where it cannot be downloaded.
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
        local = _local(address, files.ukey(path))
        if not local.exists():
            with atomic(local) as temporary:
                files.get_file(path, str(temporary))
    return local


def read(path, start, size):
    """A part of a file, which may be an address.

    Args:
        path: of the file.
        start: where the part begins, in bytes.
        size: of the part.

    Returns:
        Bytes; fewer where the file ends before.

    Raises:
        InputError, RunError: as `fetch` does.
    """
    import tensorflow as tf

    if is_remote(path) and not is_native(path):
        with _failures(path):
            files, place = _file_system(path)
            return files.cat_file(place, start=start, end=start + size)
    try:
        with tf.io.gfile.GFile(path, "rb") if is_remote(path) else open(path, "rb") as file:
            file.seek(start)
            return file.read(size)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or _line(error)}") from error


def _file_system(address):
    """fsspec's file system for an address, and the path there."""
    scheme = address.split("://")[0]
    try:
        import fsspec

        return fsspec.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{address}: nothing that reads {scheme}:// is installed ({_line(error)}); for s3 it is pip install"
            " 'slowfast_tf[remote]'"
        ) from error


@contextlib.contextmanager
def _failures(address):
    """One line for what goes wrong there."""
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        cause = "no such file there" if isinstance(error, FileNotFoundError) else f"not allowed ({_line(error)})"
        raise InputError(f"{address}: cannot be read: {cause}") from error
    except InputError:
        raise
    except Exception as error:  # every file system has errors of its own
        raise RunError(f"{address}: cannot be downloaded: {_line(error) or type(error).__name__}") from error


def _local(address, version):
    """Where the copy of a version is."""
    digest = hashlib.sha256(f"{address} {version}".encode()).hexdigest()[:32]
    return cache_directory("remote", digest) / address.rstrip("/").rpartition("/")[2]


def _line(error):
    return " ".join(str(error).split())[:300]
