"""From raw frames to scores, in one TensorFlow graph: what `predict` and the SavedModel have in common."""

import tensorflow as tf

from ..data import sampling, transforms
from ..models.heads import activate


class Predictor(tf.Module):
    """A model with everything before and after it.

    Args:
        model: a `SlowFast`, or anything else with a `spec` that is called as one.

    Attributes:
        spec: its `SlowFastSpec`.
        labels: class names, a string tensor `[classes]`; their numbers where the model has none.
    """

    def __init__(self, model):
        super().__init__("predictor")
        self.model = model
        self.spec = model.spec
        self.labels = tf.constant(self.spec.labels or [str(i) for i in range(self.spec.num_classes)])
        # A decorated method would hold the object weakly, and `Predictor(model).score_clips(clips)` would fail.
        self._score_clips = tf.function(
            lambda clips: self.score_crops(self.crop(clips, 1)[0]),
            input_signature=[tf.TensorSpec([None, None, None, None, 3], tf.uint8, "clips")],
            jit_compile=False,
            autograph=False,
        )

    def sample(self, video):
        """The middle clip of each video: uint8 `[B, frames, H, W, 3]` to `[B, F, H, W, 3]`."""
        frames = tf.shape(video)[1]
        return tf.gather(video, sampling.middle_clip(frames, self.spec), axis=1)

    def score_clips(self, clips):
        """Scores `[B, classes]` of sampled clips, uint8 `[B, F, H, W, 3]`, from their middle crop."""
        return self._score_clips(clips)

    def crop(self, clips, crops):
        """Test crops of sampled clips: uint8 `[B, F, H, W, 3]` to float32 `[crops, B, F, S, S, 3]`, 0 to 255."""
        batch, frames, height, width, _ = tf.unstack(tf.shape(clips))
        size = self.spec.crop_size
        found = transforms.test_crops(tf.reshape(clips, [batch * frames, height, width, 3]), size, crops)
        return tf.reshape(found, [crops, batch, self.spec.clip_frames, size, size, 3])

    def score_crops(self, crops):
        """Scores `[B, classes]` of crops, float32 `[B, F, S, S, 3]`, 0 to 255."""
        return self.score_inputs(transforms.pathways(transforms.normalize(crops, self.spec), self.spec))

    def score_boxes(self, clips, boxes):
        """Scores `[B, N, classes]` of boxes in sampled clips, of which all of the width and height is seen.

        Args:
            clips: uint8 `[B, F, H, W, 3]`.
            boxes: float32 `[B, N, 4]`, x1, y1, x2, y2 as shares of width and height.
        """
        batch, frames, height, width, _ = tf.unstack(tf.shape(clips))
        images = transforms.resize(tf.reshape(clips, [batch * frames, height, width, 3]), self.spec.crop_size)
        height, width = tf.unstack(tf.shape(images)[1:3])
        images = tf.reshape(images, [batch, self.spec.clip_frames, height, width, 3])
        inputs = transforms.pathways(transforms.normalize(images, self.spec), self.spec)
        return self.score_inputs({**inputs, "boxes": boxes * tf.cast([width, height, width, height], tf.float32)})

    def score_inputs(self, inputs):
        """Scores `[B, classes]` (of boxes `[B, N, classes]`) of the model's own inputs."""
        return self.activate(self.model(inputs, training=False))

    def activate(self, logits):
        """Scores of logits: what the spec's `activation` says."""
        return activate(logits, self.spec.activation)
