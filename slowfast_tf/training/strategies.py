"""One device or many machines: which `tf.distribute` strategy a run takes, and who writes its files."""

import contextlib
import os
import sys
import tempfile

import tensorflow as tf


def from_environment():
    """The strategy for the devices that there are.

    Several machines, with TF_CONFIG (Kubernetes, Vertex AI) or under Slurm (a task for each worker):
    MultiWorkerMirroredStrategy. It has to be made before anything else of TensorFlow is used. One machine:
    MirroredStrategy over its GPUs, or over its (logical) CPUs where there is none. One device: TensorFlow's default
    strategy, with the same result, which starts sooner.
    """
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks > 1:
        # For the addresses alone: which GPUs a task sees is srun's to say, and there may be none.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


def shard(strategy):
    """(number, count) of the part of the data that this process reads."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    resolver = strategy.cluster_resolver
    return resolver.task_id, len(resolver.cluster_spec().as_dict()["worker"])


def is_chief(strategy):
    """Whether this process writes the run's files."""
    return shard(strategy)[0] == 0


def training_data(strategy, clips, epochs, phase, skip):
    """What `fit` takes: the batches of `clips.train`, of which each worker reads its part.

    Args:
        strategy: of `from_environment`.
        clips: a `slowfast_tf.data.Clips`.
        epochs, phase, skip: as `clips.train` takes them.
    """
    if shard(strategy)[1] == 1:
        return clips.train(epochs, phase, skip=skip)  # divided among the replicas by TensorFlow

    def read(context):
        data = clips.train(epochs, phase, shard(strategy), skip)
        if strategy.num_replicas_in_sync == context.num_input_pipelines:
            return data
        size = context.get_per_replica_batch_size(phase.shapes[0].batch)
        return data.unbatch().batch(size, drop_remainder=True)

    return strategy.distribute_datasets_from_function(read)


def validation_data(clips):
    """What `fit` takes for validation: every worker reads all of it, so that all have as many steps."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return clips.validation().with_options(options)


@contextlib.contextmanager
def writer(strategy, path):
    """Gives the path to save to: `path` for the chief, and for others one that is thrown away.

    All workers have to save, because what they save together they read together.
    """
    if is_chief(strategy):
        yield path
    else:
        with tempfile.TemporaryDirectory() as scratch:
            yield os.path.join(scratch, os.path.basename(path))


def start_anew(error):
    """Replaces this process by a new one with the same command, which waits for the others and goes on from the last
    checkpoint: what remains to do where another worker has gone away. Whatever started that one starts it again.
    """
    print(f"another worker went away ({str(error).splitlines()[0][:200]}); starting anew", file=sys.stderr, flush=True)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
