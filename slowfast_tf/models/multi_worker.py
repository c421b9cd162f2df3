"""`fit` over several machines, which Keras 3 does not get through by itself."""

import keras
import tensorflow as tf


class MultiWorkerFit(keras.Model):
    """A model whose `fit` works under MultiWorkerMirroredStrategy.

    Keras 3 (https://github.com/keras-team/keras/issues/20585) reduces values of several replicas in two ways that
    this strategy does not know: a batch outside of a replica, to learn its shapes, and scalars along an axis. Here
    shapes are those of the first local replica, and figures have an axis.
    """

    def train_step(self, data):
        return self._with_axis(super().train_step(data))

    def test_step(self, data):
        return self._with_axis(super().test_step(data))

    def _with_axis(self, figures):
        if not self._many_workers:
            return figures
        return {name: tf.reshape(value, [1]) for name, value in figures.items()}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self._many_workers and iterator is not None:
            _, _, batches = next(iter(iterator))
            local = self.distribute_strategy.experimental_local_results
            data_batch = tf.nest.map_structure(lambda value: local(value)[0], next(batches))
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    @property
    def _many_workers(self):
        return isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)
