"""Calibration clips from records, and the networks that cannot have them."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.exports import jpegs

from slowfast_tf.errors import InputError
from slowfast_tf.exporting import calibration, onnx, tflite
from slowfast_tf.video.decode import read_frames


@pytest.mark.legacy
def test_records_are_calibration_clips(model, videos, clips, tmp_path):
    """The frames of a video as MediaSequence stores them."""

    frames = read_frames(videos[0], range(40))
    feature = tf.train.Feature
    encoded = [feature(bytes_list=tf.train.BytesList(value=[f])) for f in jpegs(frames[None])[0]]
    record = tf.train.SequenceExample(
        feature_lists=tf.train.FeatureLists(feature_list={"image/encoded": tf.train.FeatureList(feature=encoded)})
    )
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(record.SerializeToString())
    (found,) = calibration.read_calibration_clips([tmp_path / "a.tfrecord"], model.spec)
    # JPEG loses a little.
    np.testing.assert_allclose(found["fast"], clips[0]["fast"], atol=0.2)
    assert found["fast"].shape == clips[0]["fast"].shape and found["slow"].shape == clips[0]["slow"].shape


def test_boxes_do_not_go_with_int8(detection_model, tmp_path):
    for form in (tflite, onnx):
        with pytest.raises(InputError, match="corners of boxes"):
            form.export(detection_model, tmp_path / "model", "int8", [])
    assert not list(tmp_path.iterdir())
