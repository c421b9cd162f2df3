"""The `tf.distribute` strategy of a run, the shard of each worker, and the worker that writes files."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import NoReturn

import tensorflow as tf

from ..config import Train
from ..data.multigrid import Phase
from ..data.pipeline import Clips
from ..errors import InputError

JOBS = ("chief", "worker")  # of a cluster, in the order of their ranks


def from_environment() -> tf.distribute.Strategy:
    """Return the strategy for the available devices. Call it before any other use of TensorFlow's devices.

    - Several machines, described by TF_CONFIG (Kubernetes, Vertex AI) or by Slurm (each task is a worker):
      MultiWorkerMirroredStrategy.
    - One machine with several GPUs, or with several logical CPUs and no GPU: MirroredStrategy.
    - One device: TensorFlow's default strategy, which gives the same result and starts faster.

    Raises:
        InputError: if TF_CONFIG is not JSON or names jobs other than a chief and workers.
    """
    if "TF_CONFIG" in os.environ:
        _check_cluster(os.environ["TF_CONFIG"])
        return tf.distribute.MultiWorkerMirroredStrategy()
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks > 1:
        # Only for the addresses: srun assigns the GPUs, and there may be none.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


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


def shard(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Return the number of the data shard that this process reads, and the number of shards.

    The chief reads shard 0, and the workers read the following shards. Without a chief, worker 0 reads shard 0.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec().as_dict()
    counts = {job: len(cluster.get(job, ())) for job in JOBS}
    before = counts["chief"] if resolver.task_type == "worker" else 0
    return before + (resolver.task_id or 0), max(1, sum(counts.values()))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the run's files."""
    return shard(strategy)[0] == 0


def check_batch(strategy: tf.distribute.Strategy, train: Train) -> None:
    """Check that a batch can be divided among the devices.

    Raises:
        InputError: if the batch cannot be divided; the message has the numbers.
    """
    replicas = strategy.num_replicas_in_sync
    parts = replicas * train.gradient_accumulation
    if train.batch_size % parts:
        raise InputError(
            f"train.batch_size {train.batch_size} cannot be divided among {replicas} devices, in"
            f" {train.gradient_accumulation} parts each; give a multiple of {parts}"
        )
    if train.multigrid and replicas > 1:
        raise InputError(
            f"train.multigrid, whose batches change from step to step, is for one device; there are {replicas}:"
            " show it one with CUDA_VISIBLE_DEVICES=0"
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
        if strategy.num_replicas_in_sync == context.num_input_pipelines:
            return data
        size = context.get_per_replica_batch_size(phase.shapes[0].batch)
        return data.unbatch().batch(size, drop_remainder=True)

    return strategy.distribute_datasets_from_function(read)


def validation_data(clips: Clips) -> tf.data.Dataset:
    """Return validation batches for `fit`. Every worker reads all batches, so that all take equally many steps."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return clips.validation().with_options(options)


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


def restart_process(error: Exception) -> NoReturn:
    """Restart this process with the same command; it waits for the other workers and resumes the run.

    A worker cannot continue after it has lost another worker. The lost worker must be restarted by the system that
    started it. Only a run may call this function, because it replaces the whole process.

    Args:
        error: the exception that reported the lost worker.
    """
    cause = str(error).splitlines()[0][:200]
    print(f"lost another worker ({cause}); restarting", file=sys.stderr, flush=True)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
