"""Read training batches from a tf.data service: a dispatcher, and workers on other machines that read and augment.

TensorFlow waits silently for a service that does not answer, and repeats an empty epoch forever. This module reports
both. docs/prepare.md describes how to run a service.
"""

import socket
import sys
import threading
import urllib.parse
from typing import Any

import tensorflow as tf

from ..errors import InputError

NOTHING = "the workers of the tf.data service gave no batch"
PATIENCE = 10.0  # seconds


def distribute(data: tf.data.Dataset, address: str, forever: bool) -> tf.data.Dataset:
    """Let the workers of a service read a dataset; each element is read by one worker.

    Args:
        data: batches of an epoch.
        address: address of the dispatcher, "grpc://HOST:PORT".
        forever: whether to repeat the epoch infinitely.

    Returns:
        A dataset of the same batches. An epoch without a batch raises an InvalidArgumentError with the message
        `NOTHING`.
    """
    share = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    end = tf.nest.map_structure(lambda x: tf.zeros([n or 0 for n in x.shape], x.dtype), data.element_spec)
    data = data.apply(tf.data.experimental.service.distribute(share, address))
    # Mark the end of each epoch: two consecutive marks are an epoch without a batch.
    data = data.map(lambda *batch: (True, batch)).concatenate(tf.data.Dataset.from_tensors((False, end)))
    data = data.repeat() if forever else data

    def check(before: Any, marked: Any) -> tuple[Any, Any]:
        is_batch, batch = marked
        with tf.control_dependencies([tf.debugging.Assert(before | is_batch, [NOTHING])]):
            is_batch = tf.identity(is_batch)
        return is_batch, (is_batch, batch)

    found: Any = data.scan(False, check)  # Any: the stubs know datasets of single tensors only
    data = found.filter(lambda is_batch, _: is_batch)
    return data.map(lambda _, batch: batch)


def wait(address: str) -> None:
    """Wait until a service has a worker; say so on stderr after 10 seconds.

    Args:
        address: address of the dispatcher, "grpc://HOST:PORT".

    Raises:
        InputError: if no dispatcher answers.
    """
    place: Any = urllib.parse.urlsplit(address)  # Any: without a host or port the connection fails below
    try:
        socket.create_connection((place.hostname, place.port), PATIENCE).close()
    except (OSError, ValueError) as error:  # ValueError: the port is not a number
        raise InputError(
            f"data.service {address}: no dispatcher answers ({getattr(error, 'strerror', None) or error}); start"
            " one (docs/prepare.md), or read without a service: --set data.service=null"
        ) from error
    read = tf.data.experimental.service.distribute("parallel_epochs", address)
    # Use a daemon thread, so that Ctrl-C does not wait for it.
    waiting = threading.Thread(target=lambda: next(iter(tf.data.Dataset.range(1).apply(read))), daemon=True)
    waiting.start()
    waiting.join(PATIENCE)
    if waiting.is_alive():
        print(f"waiting for a worker of the tf.data service at {address}", file=sys.stderr, flush=True)
        waiting.join()
