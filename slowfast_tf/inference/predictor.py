"""Compute scores from frames with TensorFlow ops. `predict`, the SavedModel, training and the page share this code."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ..data import transforms
from ..models.heads import activate
from ..models.spec import SlowFastSpec


class Predictor(tf.Module):
    """A model with its preprocessing and activation: resize, crop, normalize, split into pathways, activate.

    Args:
        model: a `SlowFast`, or another callable with a `spec` and the same inputs and outputs.
        spec: a spec with the test protocol to use; the model's own by default.

    Attributes:
        spec: the `SlowFastSpec` in use.
        labels: class names, a string tensor `[classes]`; class numbers as text if the model has no names.

    Example:
        >>> predictor = Predictor(slowfast_tf.SlowFast("slowfast_2x16_demo"))
        >>> predictor.score_clips(np.zeros([1, 16, 64, 80, 3], np.uint8)).shape
        TensorShape([1, 8])
    """

    def __init__(self, model: Any, spec: SlowFastSpec | None = None):
        super().__init__("predictor")
        self.model = model
        self.spec: SlowFastSpec = spec or model.spec
        self.labels = tf.constant(self.spec.labels or [str(i) for i in range(self.spec.num_classes)])
        # A decorated method would keep only a weak reference, and `Predictor(model).score_clips(clips)` would fail.
        self._score_clips = tf.function(
            lambda clips: self.score_crops(self.crop(clips, 1)[0]),
            input_signature=[tf.TensorSpec([None, None, None, None, 3], tf.uint8, "clips")],
            jit_compile=False,
            autograph=False,
        )

    def score_clips(self, clips: Any) -> Any:
        """Return the scores `[B, classes]` of sampled clips, uint8 `[B, F, H, W, 3]`, from their middle crop."""
        return self._score_clips(clips)

    def crop(self, clips: Any, crops: int) -> Any:
        """Return test crops of sampled clips: uint8 `[B, F, H, W, 3]` to float32 `[crops, B, F, S, S, 3]`, 0 to 255."""
        batch, frames, height, width, _ = tf.unstack(tf.shape(clips))
        size = self.spec.crop_size
        images = transforms.downscale(tf.reshape(clips, [batch * frames, height, width, 3]), size)
        found = transforms.test_crops(images, size, crops)
        return tf.reshape(found, [crops, batch, self.spec.clip_frames, size, size, 3])

    def score_crops(self, crops: Any) -> Any:
        """Return the scores `[B, classes]` of crops, float32 `[B, F, S, S, 3]`, 0 to 255."""
        return self.score_inputs(transforms.pathways(transforms.normalize(crops, self.spec), self.spec))

    def score_boxes(self, clips: Any, boxes: Any) -> Any:
        """Return the scores `[B, N, classes]` of boxes in sampled clips, computed from whole frames.

        Args:
            clips: uint8 `[B, F, H, W, 3]`.
            boxes: float32 `[B, N, 4]`, x1, y1, x2, y2 as fractions of width and height.
        """
        batch, frames, height, width, _ = tf.unstack(tf.shape(clips))
        size = self.spec.crop_size
        images = transforms.downscale(tf.reshape(clips, [batch * frames, height, width, 3]), size)
        images = transforms.resize(images, size)
        height, width = tf.unstack(tf.shape(images)[1:3])
        images = tf.reshape(images, [batch, self.spec.clip_frames, height, width, 3])
        inputs = transforms.pathways(transforms.normalize(images, self.spec), self.spec)
        return self.score_inputs({**inputs, "boxes": boxes * tf.cast([width, height, width, height], tf.float32)})

    def score_inputs(self, inputs: Any) -> Any:
        """Return the scores of the model's inputs: `[B, classes]`, or `[B, N, classes]` for N boxes."""
        return self.activate(self.model(inputs, training=False))

    def activate(self, logits: Any) -> Any:
        """Return the scores of logits, by the spec's `activation`."""
        return activate(logits, self.spec.activation)

    @functools.cached_property
    def score_views(self) -> Callable[[dict[str, Any]], Any]:
        """A function from a clip's model inputs, `[crops, T, S, S, C]`, to scores `[views, classes]`.

        With 0 crops, the inputs are whole frames, and every crop-sized window of the features of res5 is a view: one
        pass of the network scores all windows.
        """
        if self.spec.views.crops:
            return tf.function(self.score_inputs, reduce_retracing=True, autograph=False, jit_compile=False)
        head = self.model.get_layer("head")
        features = keras.Model(self.model.inputs, head.input)
        window = self.spec.feature_shape(self.spec.pathways[0], 5, self.spec.crop_size)[1]

        @tf.function(reduce_retracing=True, autograph=False)
        def window_scores(views: Any) -> Any:
            pooled = [
                tf.nn.avg_pool2d(tf.reduce_mean(x, 1), window, 1, "VALID")
                for x in tf.nest.flatten(features(views, training=False))
            ]
            pooled = tf.concat(pooled, -1)
            return self.activate(head.classifier(tf.reshape(pooled, [-1, pooled.shape[-1]])))

        return window_scores
