"""Every difference between Keras 2.15 (with TensorFlow 2.15) and Keras 3 (with the newest TensorFlow).

All other modules use the API that both versions share; docs/stacks.md says which version to choose.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

KERAS_3 = hasattr(keras, "ops")

# Newer versions of TensorFlow write a random number into a SavedModel; TensorFlow 2.15 does not.
SAVED_MODEL_HAS_UUID = KERAS_3


class Model(keras.Model):
    """A functional Keras model with `input_names` that can also save Keras 2's legacy optimizers."""

    if KERAS_3:

        @property
        def input_names(self) -> list[str]:
            """Names of the inputs, in order: "slow" and "fast", or one of them, and "boxes" for head "roi"."""
            return [tensor.name for tensor in self.inputs]

        def load_own_variables(self, store: Any) -> None:
            """Load nothing: all variables belong to layers, except a legacy optimizer that Keras 2 saved here."""

    else:  # for legacy optimizers, such as those of tensorflow-addons

        def save_own_variables(self, store: Any) -> None:
            if _is_legacy(self.optimizer):
                for i, value in enumerate(self.optimizer.get_weights()):
                    store[f"optimizer_{i:06d}"] = value

        def load_own_variables(self, store: Any) -> None:
            if store.keys() and _is_legacy(self.optimizer):
                self.optimizer._create_all_weights(self.trainable_variables)
                self.optimizer.set_weights([store[name][()] for name in sorted(store.keys())])


class FitModel(Model):
    """A model whose `fit` works under MirroredStrategy and MultiWorkerMirroredStrategy, and starts faster.

    Keras 3 (https://github.com/keras-team/keras/issues/20585) reduces values of several replicas in two ways that
    MultiWorkerMirroredStrategy does not support: a batch outside of a replica, to get its shapes, and scalars along an
    axis. Keras 3 also cannot reduce a batch whose replicas have unequal parts. This class takes the shapes from the
    first local replica, and gives metrics an axis. A replica without clips in the last batch of a test does nothing.
    Keras 2 has none of these problems, and does not allow a replica to branch.

    Attributes:
        finish: function from a batch of the training data set to inputs and labels. A training step calls it first, on
            the device. None if the batches hold inputs and labels.
    """

    finish: Callable[..., tuple] | None = None

    _xla_after_finish = False

    def train_step(self, data: Any) -> dict[str, Any]:
        return self.with_axis(self.after_finish(super().train_step, data))

    def after_finish(self, step: Callable[[Any], Any], data: Any) -> Any:
        """Apply `finish` to a batch, and then `step`; return what `step` returns."""
        if not self.finish:
            return step(data)
        if self._xla_after_finish:
            step = tf.function(step, jit_compile=True, autograph=False)
        return step(self.finish(*data))

    def test_step(self, data: Any) -> dict[str, Any]:
        step = super().test_step
        if self._many_replicas:
            clips = tf.shape(tf.nest.flatten(data)[0])[0]
            return self.with_axis(tf.cond(clips > 0, lambda: step(data), self.get_metrics_result))
        return self.with_axis(step(data))

    def with_axis(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """Add an axis to each metric of a step on several workers, where Keras reduces metrics along an axis."""
        if not self._many_workers:
            return metrics
        return {name: tf.reshape(value, [1]) for name, value in metrics.items()}

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if self._many_replicas and iterator is not None:
            if not all(part is None or part.built for part in (self._compile_metrics, self._compile_loss)):
                _, _, batches = next(iter(iterator))
                local = self.distribute_strategy.experimental_local_results
                data_batch = tf.nest.map_structure(lambda value: local(value)[0], next(batches))
            iterator = None  # Keras would read a batch before each validation
        super()._maybe_symbolic_build(iterator, data_batch)

    def make_train_function(self, force: bool = False) -> Callable[..., Any]:
        # Create the optimizer's variables first: TensorFlow traces a function twice if it creates variables.
        if self.optimizer is not None:
            with self.distribute_strategy.scope():
                build(self.optimizer, self.trainable_variables)
        if not (self.finish and self.jit_compile):
            return super().make_train_function(force)
        # Windows differ in size, and XLA would compile `finish` for each size. It compiles only the rest of the step.
        self._xla_after_finish, self.jit_compile = True, False
        try:
            return super().make_train_function(force)
        finally:
            self.jit_compile = True

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Keras would trace the whole network to get the shape of its logits, which is already known.
        if data_batch is not None:
            _, labels, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
            for part in (self._compile_metrics, self._compile_loss):
                if part is not None and not part.built:
                    part.build(labels, self.output)
        super()._symbolic_build(iterator, data_batch)

    @property
    def _many_replicas(self) -> bool:
        return KERAS_3 and self.distribute_strategy.num_replicas_in_sync > 1

    @property
    def _many_workers(self) -> bool:
        return KERAS_3 and isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)


class Optimizer:
    """Methods that this package's optimizers need, and that have other names in Keras 2."""

    if not KERAS_3:

        def build(self, variables: Iterable[Any]) -> None:
            super().build(variables)  # pyright: ignore[reportAttributeAccessIssue]
            self._trainable_variables = list(variables)

        def _get_variable_index(self, variable: Any) -> int:
            return self._index_dict[self._var_key(variable)]  # pyright: ignore[reportAttributeAccessIssue]

        def assign(self, variable: Any, value: Any) -> None:
            variable.assign(value)

        def aggregate_gradients(self, pairs: Iterable[Any]) -> Any:
            return self._all_reduce_sum_gradients(pairs)

        def _all_reduce_sum_gradients(self, pairs: Iterable[Any]) -> Any:
            return super().aggregate_gradients(pairs)  # pyright: ignore[reportAttributeAccessIssue]


def descend(variable: Any, velocity: Any, gradient: Any, rate: Any, momentum: float, nesterov: bool) -> None:
    """Set the velocity to `momentum * velocity + gradient`, and add `-rate * velocity` to the variable, as PyTorch."""
    gradient, rate, decay = (tf.cast(x, variable.dtype) for x in (gradient, rate, momentum))
    if KERAS_3:  # one operation instead of ten small ones
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.value.handle,
            lr=rate,
            grad=gradient,
            momentum=decay,
            use_nesterov=nesterov,
        )
        return
    velocity.assign(decay * velocity + gradient)
    variable.assign_sub(rate * (gradient + decay * velocity if nesterov else velocity))


def dtype_policy() -> str:
    """Return the name of the global dtype policy."""
    mixed = keras.mixed_precision
    return mixed.dtype_policy().name if KERAS_3 else mixed.global_policy().name


def step_on_batch(model: keras.Model) -> Callable[[Any], Any]:
    """Return a model's training step as a function of a batch, after `fit` has created `train_function`."""
    step: Any = model.train_function
    if KERAS_3:
        return lambda batch: step([batch])
    if model.run_eagerly:
        return lambda batch: step(iter([batch]))

    def on_batch(batch: Any) -> Any:
        return step.python_function(iter([batch]))

    return tf.function(on_batch, reduce_retracing=True)


def scaled_loss(optimizer: Any, loss: tf.Tensor) -> tf.Tensor:
    """Return the loss to differentiate, scaled if the optimizer is a LossScaleOptimizer."""
    if KERAS_3:
        return optimizer.scale_loss(loss)
    scale = getattr(optimizer, "get_scaled_loss", None)
    return scale(loss) if scale else loss


def applicable(optimizer: Any, gradients: Iterable[Any]) -> Iterable[Any]:
    """Return gradients of a scaled loss in the form that the optimizer's `apply_gradients` expects."""
    unscale = None if KERAS_3 else getattr(optimizer, "get_unscaled_gradients", None)
    return unscale(gradients) if unscale else gradients


def learning_rate(optimizer: Any) -> float:
    """Return the learning rate of the next step."""
    if KERAS_3:
        return float(optimizer.learning_rate)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate: Any = optimizer._get_hyper("learning_rate") if _is_legacy(optimizer) else optimizer._learning_rate
    return float(rate(optimizer.iterations) if callable(rate) else rate)  # pyright: ignore[reportArgumentType]


def build(optimizer: Any, variables: Iterable[Any]) -> None:
    """Create an optimizer's variables unless they exist."""
    if KERAS_3:
        if not optimizer.built:
            optimizer.build(variables)
    else:
        (optimizer._create_all_weights if _is_legacy(optimizer) else optimizer.build)(variables)


def _is_legacy(optimizer: Any) -> bool:
    """Return whether an optimizer of Keras 2 is a legacy optimizer."""
    legacy: Any = keras.optimizers.legacy
    return isinstance(optimizer, legacy.Optimizer)
