"""The runs over folds and seeds: their configurations."""

from slowfast_tf import config
from slowfast_tf.training import repeats


def test_the_saved_configuration_loads(configure, tmp_path):
    """The run reads records, so the reader of the video files does not apply."""
    (run,) = repeats.repeat(configure("data.reader=tensorflow_io"), 1, tmp_path / "runs", tmp_path / "records")
    run.from_records.save(tmp_path / "config.json")
    assert config.load(tmp_path / "config.json") == run.from_records
