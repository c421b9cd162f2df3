"""From features to logits."""

import keras
import tensorflow as tf

from .layers import Layer, register


@register
class ClassificationHead(Layer):
    """Global average pool of each pathway, concatenation, dropout 0.5, fully connected (Table 1).

    Input: a list of features `[B, T, H, W, C]`, one a pathway. Output: logits `[B, num_classes]`, float32.

    Args:
        num_classes: outputs.
        dropout: rate.
    """

    def __init__(self, num_classes, dropout=0.5, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dropout = keras.layers.Dropout(dropout, dtype=kwargs.get("dtype"), name="dropout")
        # Logits stay float32 under mixed precision, or a softmax loses its small classes.
        self.classifier = keras.layers.Dense(
            num_classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",
            name="classifier",
        )

    def build(self, input_shape):
        channels = sum(shape[-1] for shape in input_shape)
        self.classifier.build((None, channels))
        self.built = True

    def call(self, inputs, training=None):
        x = tf.concat([tf.reduce_mean(x, [1, 2, 3]) for x in inputs], -1)
        return self.classifier(self.dropout(x, training=training))

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], self.num_classes)
