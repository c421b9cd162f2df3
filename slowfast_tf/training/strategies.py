"""The `tf.distribute` strategy of a run, the shard of each worker, and the worker that writes files."""

import contextlib
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from ..config import Train
from ..data.multigrid import Phase
from ..data.pipeline import Clips
from ..errors import InputError, RunError
from ..interrupts import handle_signals

JOBS = ("chief", "worker")  # of a cluster, in the order of their ranks


def from_environment() -> tf.distribute.Strategy:
    """Return the strategy for the available devices. Call it before any other use of TensorFlow's devices.

    - Several machines, described by TF_CONFIG (Kubernetes, Vertex AI) or by Slurm (each task is a worker):
      MultiWorkerMirroredStrategy.
    - One machine with several GPUs, or with several logical CPUs and no GPU: MirroredStrategy.
    - One device: TensorFlow's default strategy, which gives the same result and starts faster.

    Raises:
        InputError: see `cluster`.
        RunError: if the other workers cannot be reached.
    """
    resolver = cluster()
    if resolver:
        return _join(resolver)
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


def cluster() -> Any:
    """Return the `ClusterResolver` of the environment; None if it names no cluster.

    Raises:
        InputError: if TF_CONFIG is not JSON or names jobs other than a chief and workers.
    """
    if "TF_CONFIG" in os.environ:
        _check_cluster(os.environ["TF_CONFIG"])
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks < 2:
        return None
    # Only for the addresses: srun assigns the GPUs, and there may be none.
    return tf.distribute.cluster_resolver.SlurmClusterResolver(gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False)


def _join(resolver: Any) -> tf.distribute.Strategy:
    """Return the strategy of a cluster when all its workers are there. TensorFlow gives up after an hour."""
    others = ", ".join(address for number, address in enumerate(_addresses(resolver)) if number != rank(resolver))
    if others:
        print(f"waiting for the other workers: {others}", file=sys.stderr, flush=True)
    try:
        # SIGINT: Python's own handler would not run before the end. SIGTERM: TensorFlow installs a handler that only
        # takes a note, so without restoring the default here, SIGTERM would have no effect until `fit`.
        with handle_signals(signal.SIG_DFL, signal.SIGINT, signal.SIGTERM):
            return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except tf.errors.OpError as error:
        raise RunError(
            f"cannot join the other workers, {others} ({_first_line(error)}); check that all of them run and that this"
            " machine can connect to them"
        ) from error


def _check_cluster(text: str) -> None:
    try:
        described = json.loads(text)
        jobs = {*described.get("cluster", {}), described.get("task", {}).get("type", "worker")}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"TF_CONFIG is not a JSON object with a cluster and a task ({error}); got {text}") from error
    others = sorted(jobs.difference(JOBS))
    if others:
        raise InputError(
            f"TF_CONFIG has the job {others[0]!r}, but a run has a chief and workers only, and tests its model itself;"
            " remove it from the cluster"
        )
    task, cluster = described.get("task", {}), described.get("cluster", {})
    job, index = task.get("type", "worker"), task.get("index")
    count = len(cluster.get(job, ()))
    if cluster and not count:
        raise InputError(f"TF_CONFIG: the task has the job {job!r}, which the cluster does not have; add its addresses")
    if cluster and not (str(index).isdecimal() and int(index) < count):
        raise InputError(
            f"TF_CONFIG: task.index counts the addresses of the job {job!r}, from 0 to {count - 1}; got"
            f" {json.dumps(index)}"
        )


def shard(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Return the number of the data shard that this process reads, and the number of shards.

    The chief reads shard 0, and the workers read the following shards. Without a chief, worker 0 reads shard 0.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    return rank(resolver), max(1, len(_addresses(resolver)))


def rank(resolver: Any) -> int:
    """Return the number of this process in its cluster; the chief, or without a chief worker 0, has number 0."""
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", ())) if resolver.task_type == "worker" else 0
    return chiefs + (resolver.task_id or 0)


def addresses(strategy: tf.distribute.Strategy) -> list[str]:
    """Return the addresses of all workers, in the order of their ranks; none if there is one process."""
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return _addresses(strategy.cluster_resolver) if several else []


def _addresses(resolver: Any) -> list[str]:
    described = resolver.cluster_spec().as_dict()
    return [address for job in JOBS for address in described.get(job, ())]


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the run's files."""
    return shard(strategy)[0] == 0


def check_batch(strategy: tf.distribute.Strategy, train: Train) -> None:
    """Check that a batch can be divided among the devices, and that no setting needs a single device.

    Raises:
        InputError: if the batch cannot be divided (the message has the numbers), or if there are several devices with
            `train.multigrid`, or with both `train.synchronize_batchnorm` and `train.gradient_accumulation`.
    """
    replicas = strategy.num_replicas_in_sync
    parts = replicas * train.gradient_accumulation
    if train.batch_size % parts:
        accumulated = train.gradient_accumulation
        each = f", in {accumulated} parts each (train.gradient_accumulation)" if accumulated > 1 else ""
        raise InputError(
            f"train.batch_size {train.batch_size} cannot be divided among {replicas} devices{each}; give a multiple of"
            f" {parts}"
        )
    if train.multigrid and replicas > 1:
        raise InputError(
            f"train.multigrid, whose batches change from step to step, is for one device; there are {replicas}:"
            " show it one with CUDA_VISIBLE_DEVICES=0"
        )
    # The loop over the parts is a `tf.while_loop`, in which devices cannot wait for each other.
    if train.synchronize_batchnorm and train.gradient_accumulation > 1 and replicas > 1:
        raise InputError(
            "train.synchronize_batchnorm cannot be combined with train.gradient_accumulation on"
            f" {replicas} devices; set synchronize_batchnorm to false or gradient_accumulation to 1"
        )


def training_data(
    strategy: tf.distribute.Strategy, clips: Clips, epochs: range, phase: Phase, skip: int, finished: bool = True
) -> "tf.data.Dataset | tf.distribute.DistributedDataset":
    """Return the batches of `clips.train` for `fit`. Each worker reads its own shard.

    Args:
        strategy: strategy from `from_environment`.
        clips: the training clips.
        epochs: the epochs to read, one after the other.
        phase: the phase of the run that contains `epochs`.
        skip: steps already done in the first epoch.
        finished: see `Clips.train`.
    """
    if shard(strategy)[1] == 1:
        return clips.train(epochs, phase, skip=skip, finished=finished)  # TensorFlow divides each batch

    def read(context: tf.distribute.InputContext) -> tf.data.Dataset:
        data = clips.train(epochs, phase, shard(strategy), skip, finished)
        return _for_each_replica(data, context, phase.shapes[0].batch, full=True)

    return strategy.distribute_datasets_from_function(read)


def validation_data(
    strategy: tf.distribute.Strategy, clips: Clips
) -> "tf.data.Dataset | tf.distribute.DistributedDataset":
    """Return the batches of `clips.validation` for `fit`. Each worker reads its own shard; Keras adds up the metrics.

    A shard may have fewer clips than another one. Its worker then gets empty batches from TensorFlow until all are
    done, and `FitModel` skips them.
    """
    if shard(strategy)[1] == 1:
        return clips.validation()  # TensorFlow divides each batch

    def read(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return _for_each_replica(clips.validation(shard(strategy)), context, clips.config.train.batch_size, full=False)

    return strategy.distribute_datasets_from_function(read)


def _for_each_replica(
    data: tf.data.Dataset, context: tf.distribute.InputContext, batch: int, full: bool
) -> tf.data.Dataset:
    """Divide the batches of a worker among its devices; `batch` is the batch size of all workers together.

    If all batches are `full`, they keep their static size.
    """
    if context.num_replicas_in_sync == context.num_input_pipelines:
        return data
    return data.unbatch().batch(context.get_per_replica_batch_size(batch), drop_remainder=full)


@contextlib.contextmanager
def writer(strategy: tf.distribute.Strategy, path: str | os.PathLike) -> Iterator[str | os.PathLike]:
    """Yield the path to save to: `path` for the chief, and a temporary path for other workers.

    All workers must save, because reading the variables of a strategy can be a collective operation.
    """
    if is_chief(strategy):
        yield path
    else:
        with tempfile.TemporaryDirectory() as scratch:
            yield os.path.join(scratch, os.path.basename(path))


@contextlib.contextmanager
def restarting(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Restart this process with the same command if another worker is lost in the block.

    A worker cannot continue after it has lost another worker. The new process waits for all workers and resumes the
    run. The lost worker must be restarted by the system that started it. Only a run may use this block, because the
    whole process is replaced.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
        if shard(strategy)[1] == 1:
            raise
        print(f"lost another worker ({_first_line(error)}); restarting", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _first_line(error: Exception) -> str:
    """Return the cause of an error of TensorFlow; the first line of a failed graph is "Graph execution error:"."""
    text = str(error)
    cause = re.search("aborted by: (.*)", text)
    return (cause[1] if cause else text.splitlines()[0])[:200]
