"""What Keras lacks for `fit`: it does not get through on several devices or machines, and traces more than it must."""

import keras
import tensorflow as tf

from . import keras_compat as compat


class FitModel(compat.Model):
    """A model whose `fit` works under MirroredStrategy and MultiWorkerMirroredStrategy, and starts sooner.

    Keras 3 (https://github.com/keras-team/keras/issues/20585) reduces values of several replicas in two ways that
    the latter does not know: a batch outside of a replica, to learn its shapes, and scalars along an axis. Nor can it
    reduce a batch of which replicas have unequal parts. Here shapes are those of the first local replica, and figures
    have an axis. A replica that the last batch of a test gives nothing does nothing.
    """

    def train_step(self, data):
        return self._with_axis(super().train_step(data))

    def test_step(self, data):
        step = super().test_step
        if self._many_replicas:
            clips = tf.shape(tf.nest.flatten(data)[0])[0]
            return self._with_axis(tf.cond(clips > 0, lambda: step(data), self.get_metrics_result))
        return self._with_axis(step(data))

    def _with_axis(self, figures):
        if not self._many_workers:
            return figures
        return {name: tf.reshape(value, [1]) for name, value in figures.items()}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self._many_replicas and iterator is not None:
            _, _, batches = next(iter(iterator))
            local = self.distribute_strategy.experimental_local_results
            data_batch = tf.nest.map_structure(lambda value: local(value)[0], next(batches))
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    def make_train_function(self, force=False):
        # A function that makes variables, such as the optimizer's, is traced twice by TensorFlow.
        if self.optimizer is not None:
            with self.distribute_strategy.scope():
                compat.build(self.optimizer, self.trainable_variables)
        return super().make_train_function(force)

    def _symbolic_build(self, iterator=None, data_batch=None):
        # Keras goes through the whole network to learn the shape of its logits, which is known.
        if data_batch is not None:
            _, labels, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
            for part in (self._compile_metrics, self._compile_loss):
                if part is not None and not part.built:
                    part.build(labels, self.output)
        super()._symbolic_build(iterator, data_batch)

    @property
    def _many_replicas(self):
        return compat.REPLICAS_NEED_HELP and self.distribute_strategy.num_replicas_in_sync > 1

    @property
    def _many_workers(self):
        strategy = tf.distribute.MultiWorkerMirroredStrategy
        return compat.REPLICAS_NEED_HELP and isinstance(self.distribute_strategy, strategy)
