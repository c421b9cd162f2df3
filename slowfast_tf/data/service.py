"""Training batches from a tf.data service: a dispatcher, and workers on other machines that read and augment.

TensorFlow waits without a word for whatever does not answer, and starts over where there is nothing to read; here both
are told. docs/prepare.md says how to run a service.
"""

import socket
import sys
import threading
import urllib.parse

import tensorflow as tf

from ..errors import InputError

NOTHING = "the workers of the tf.data service gave no batch"
PATIENCE = 10.0  # seconds


def distribute(data, address, forever):
    """Has a service read a dataset, of which each worker takes what no other one does.

    Args:
        data: batches of an epoch.
        address: of the dispatcher, "grpc://HOST:PORT".
        forever: epoch after epoch.

    Returns:
        A dataset of the same batches. An epoch without any is an InvalidArgumentError, whose message has `NOTHING`.
    """
    share = tf.data.experimental.service.ShardingPolicy.DYNAMIC
    end = tf.nest.map_structure(lambda x: tf.zeros([n or 0 for n in x.shape], x.dtype), data.element_spec)
    data = data.apply(tf.data.experimental.service.distribute(share, address))
    # Each epoch has a mark at its end; two of them without a batch between are an epoch of none.
    data = data.map(lambda *batch: (True, batch)).concatenate(tf.data.Dataset.from_tensors((False, end)))
    data = data.repeat() if forever else data

    def check(before, marked):
        is_batch, batch = marked
        with tf.control_dependencies([tf.debugging.Assert(before | is_batch, [NOTHING])]):
            is_batch = tf.identity(is_batch)
        return is_batch, (is_batch, batch)

    data = data.scan(False, check).filter(lambda is_batch, _: is_batch)
    return data.map(lambda _, batch: batch)


def wait(address):
    """Waits until a worker of a service can work; says so, where it takes long.

    Args:
        address: of the dispatcher, "grpc://HOST:PORT".

    Raises:
        InputError: where nothing listens there.
    """
    place = urllib.parse.urlsplit(address)
    try:
        socket.create_connection((place.hostname, place.port), PATIENCE).close()
    except (OSError, ValueError) as error:  # the latter of no name or port
        raise InputError(
            f"data.service {address}: nothing answers there ({getattr(error, 'strerror', None) or error}); start a"
            " dispatcher (docs/prepare.md), or read without: --set data.service=null"
        ) from error
    read = tf.data.experimental.service.distribute("parallel_epochs", address)
    # A thread of its own can be left behind by Ctrl-C.
    waiting = threading.Thread(target=lambda: next(iter(tf.data.Dataset.range(1).apply(read))), daemon=True)
    waiting.start()
    waiting.join(PATIENCE)
    if waiting.is_alive():
        print(f"waiting for a worker of the tf.data service at {address}", file=sys.stderr, flush=True)
        waiting.join()
