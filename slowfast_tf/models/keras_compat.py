"""Every difference between Keras 2.15 (with TensorFlow 2.15) and Keras 3 (with the newest TensorFlow).

All else in the package uses what both have; docs/stacks.md tells which to take.
"""

import keras
import tensorflow as tf

_KERAS_3 = hasattr(keras, "ops")

# Keras 3 reduces values of several replicas in ways that strategies do not know. Keras 2 forbids a replica to branch.
REPLICAS_NEED_HELP = _KERAS_3

# TensorFlow 2.15 puts no random number into a SavedModel.
SAVED_MODEL_HAS_UUID = _KERAS_3


if _KERAS_3:

    class Model(keras.Model):
        """A functional Keras model with the names of its inputs, which Keras 2 has by itself."""

        @property
        def input_names(self):
            """Names of the inputs, in order: "slow" and "fast", or one of them, and "boxes" for head "roi"."""
            return [tensor.name for tensor in self.inputs]

        def load_own_variables(self, store):
            """Nothing: all variables are the layers', but for what Keras 2 keeps here of some optimizers."""

    class Optimizer:
        """What optimizers of this package need of Keras 2 and have in Keras 3."""

    class SGD(keras.optimizers.SGD):
        """Keras' SGD by TensorFlow's operation for it, in place of ten small ones for each variable."""

        def update_step(self, gradient, variable, learning_rate):
            if not self.momentum:
                super().update_step(gradient, variable, learning_rate)
                return
            momentum = self.momentums[self._get_variable_index(variable)]
            tf.raw_ops.ResourceApplyKerasMomentum(
                var=variable.handle,
                accum=momentum.value.handle,
                lr=tf.cast(learning_rate, variable.dtype),
                grad=tf.cast(gradient, variable.dtype),
                momentum=tf.cast(self.momentum, variable.dtype),
                use_nesterov=self.nesterov,
            )

    def dtype_policy():
        """The global dtype policy, by name."""
        return keras.mixed_precision.dtype_policy().name

    def step_on_batch(model):
        """A model's training step as a function of a batch, for `fit` once it has made `train_function`."""
        step = model.train_function
        return lambda batch: step([batch])

    def scaled_loss(optimizer, loss):
        """A loss as an optimizer wants it differentiated: larger, where it guards float16 gradients."""
        return optimizer.scale_loss(loss)

    def applicable(optimizer, gradients):
        """Gradients of a scaled loss as the optimizer's `apply_gradients` takes them."""
        return gradients

    def learning_rate(optimizer):
        """Of the next step."""
        return float(optimizer.learning_rate)

    def build(optimizer, variables):
        """Makes an optimizer's variables, unless they are there."""
        if not optimizer.built:
            optimizer.build(variables)

else:

    class Model(keras.Model):
        """A functional Keras model that saves optimizers of Keras' older kind, such as tensorflow-addons has, too."""

        def save_own_variables(self, store):
            if isinstance(self.optimizer, keras.optimizers.legacy.Optimizer):
                for i, value in enumerate(self.optimizer.get_weights()):
                    store[f"optimizer_{i:06d}"] = value

        def load_own_variables(self, store):
            if store.keys() and isinstance(self.optimizer, keras.optimizers.legacy.Optimizer):
                self.optimizer._create_all_weights(self.trainable_variables)
                self.optimizer.set_weights([store[name][()] for name in sorted(store.keys())])

    class Optimizer:
        """What optimizers of this package need of Keras 2 and have in Keras 3."""

        def build(self, variables):
            super().build(variables)
            self._trainable_variables = list(variables)

        def _get_variable_index(self, variable):
            return self._index_dict[self._var_key(variable)]

        def assign(self, variable, value):
            variable.assign(value)

        def aggregate_gradients(self, pairs):
            return self._all_reduce_sum_gradients(pairs)

        def _all_reduce_sum_gradients(self, pairs):
            return super().aggregate_gradients(pairs)

    SGD = keras.optimizers.SGD

    def dtype_policy():
        return keras.mixed_precision.global_policy().name

    def step_on_batch(model):
        step = model.train_function
        if model.run_eagerly:
            return lambda batch: step(iter([batch]))

        def on_batch(batch):
            return step.python_function(iter([batch]))

        return tf.function(on_batch, reduce_retracing=True)

    def scaled_loss(optimizer, loss):
        scale = getattr(optimizer, "get_scaled_loss", None)
        return scale(loss) if scale else loss

    def applicable(optimizer, gradients):
        unscale = getattr(optimizer, "get_unscaled_gradients", None)
        return unscale(gradients) if unscale else gradients

    def learning_rate(optimizer):
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        older = isinstance(optimizer, keras.optimizers.legacy.Optimizer)
        rate = optimizer._get_hyper("learning_rate") if older else optimizer._learning_rate
        return float(rate(optimizer.iterations) if callable(rate) else rate)

    def build(optimizer, variables):
        older = isinstance(optimizer, keras.optimizers.legacy.Optimizer)
        (optimizer._create_all_weights if older else optimizer.build)(variables)
