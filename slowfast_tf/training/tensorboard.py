"""Write a run's logs and some of its training clips for TensorBoard."""

import os

import keras
import numpy as np
import tensorflow as tf

from ..data.transforms import denormalize
from ..models.spec import SlowFastSpec


class TensorBoard(keras.callbacks.TensorBoard):
    """Keras' TensorBoard callback, which also flushes its files after each epoch.

    Keras flushes its files only at the end of `fit`, so an interrupted run would lose the logs of its finished epochs.
    Put this callback before a callback that stops the run. The arguments are those of Keras.
    """

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        for writer in self._writers.values():
            writer.flush()


class ExampleClips(keras.callbacks.Callback):
    """Write some training clips for TensorBoard, as the network receives them, when training starts.

    Args:
        data: batches of training clips.
        spec: the network's specification.
        directory: directory of TensorBoard's files.
    """

    def __init__(self, data: tf.data.Dataset, spec: SlowFastSpec, directory: str | os.PathLike):
        super().__init__()
        self.data, self.spec, self.directory = data, spec, directory

    def on_train_begin(self, logs: dict | None = None) -> None:
        inputs = next(iter(self.data.take(1)))[0]
        writer = tf.summary.create_file_writer(str(self.directory))
        with writer.as_default(step=0):
            for pathway in self.spec.pathways:
                tf.summary.image(f"clips/{pathway}", _sheets(inputs[pathway][:4].numpy(), self.spec), max_outputs=4)
        writer.close()


def _sheets(clips: np.ndarray, spec: SlowFastSpec) -> np.ndarray:
    """Return eight frames of each clip side by side, uint8 `[B, H, 8 * W, 3]`.

    Args:
        clips: a pathway's input, float32 `[B, T, H, W, C]`.
        spec: the network's specification.
    """
    frames = clips[:, np.linspace(0, clips.shape[1] - 1, min(8, clips.shape[1])).astype(int)]
    if frames.shape[-1] == 3:
        images = denormalize(frames, spec)
    else:  # gray, a time difference or optical flow: centered on middle gray
        images = np.repeat(frames.mean(-1, keepdims=True) / 2 + 0.5, 3, -1)
        images = np.uint8(np.clip(images * 255, 0, 255))
    return np.concatenate(np.moveaxis(images, 1, 0), 2)  # pyright: ignore[reportArgumentType]
