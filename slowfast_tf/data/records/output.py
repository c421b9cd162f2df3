"""The directory that `prepare` writes, local or remote, through TensorFlow's file systems."""

import hashlib
import os
import uuid

import tensorflow as tf

from ...files.atomic import sync, sync_directory
from ...files.remote import is_remote
from .shards import INDEX, Shard

WORK = ".prepare"  # directory of unfinished work: the plan, and the report of each finished shard
PLAN = f"{WORK}/plan.json"


class Output:
    """A directory whose files are written whole or not at all.

    A local file is flushed to disk before it gets its name, so that a power cut leaves no partial file. For remote
    files this depends on the storage.

    Args:
        root: the directory.
    """

    def __init__(self, root: str):
        # At an address, "records//index.json" is another file than "records/index.json".
        self.root = root.rstrip("/") if is_remote(root) else root

    def path(self, name: str) -> str:
        """Return the path of a file of the directory."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Return whether a file or directory of the directory exists."""
        return tf.io.gfile.exists(self.path(name))

    def is_file(self) -> bool:
        """Return whether the path of the directory is a file."""
        return tf.io.gfile.exists(self.root) and not tf.io.gfile.isdir(self.root)

    def holds_others(self) -> bool:
        """Return whether the directory contains anything except unfinished work."""
        return tf.io.gfile.exists(self.root) and bool(set(tf.io.gfile.listdir(self.root)) - {WORK, f"{WORK}/"})

    def make(self, name: str = "") -> None:
        """Create the directory, or a directory in it."""
        tf.io.gfile.makedirs(self.path(name) if name else self.root)

    def read_text(self, name: str) -> str:
        """Read a text file."""
        with tf.io.gfile.GFile(self.path(name)) as file:
            return file.read()

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file."""
        temporary = self.temporary()
        with tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(content)
        self.commit(temporary, name)

    def temporary(self, name: str = "") -> str:
        """Return a new temporary path to write to, for `commit`."""
        return self.path(f"{WORK}/{name}{'.' if name else ''}{uuid.uuid4().hex}")

    def commit(self, temporary: str, name: str) -> None:
        """Rename a written temporary file to its final name."""
        if is_remote(self.root):
            tf.io.gfile.rename(temporary, self.path(name), overwrite=True)
            return
        sync(temporary)
        tf.io.gfile.rename(temporary, self.path(name), overwrite=True)
        sync_directory(os.path.dirname(self.path(name)))

    def remove(self, name: str) -> None:
        """Remove a file."""
        tf.io.gfile.remove(self.path(name))

    def remove_work(self) -> None:
        """Remove the directory of unfinished work, if there is one."""
        if self.exists(WORK):
            tf.io.gfile.rmtree(self.path(WORK))

    def index_time(self) -> int:
        """Return the modification time of the index, in nanoseconds."""
        return tf.io.gfile.stat(self.path(INDEX)).mtime_nsec

    def is_whole(self, shard: Shard) -> bool:
        """Return whether a shard exists with its full size."""
        try:
            return tf.io.gfile.stat(self.path(shard.file)).length == shard.bytes
        except tf.errors.NotFoundError:
            return False


def checksum(path: str) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def cause(error: Exception) -> str:
    """Return the last part of an error's message; in TensorFlow's messages the path comes before it."""
    return (getattr(error, "strerror", None) or str(error)).split("; ")[-1]
