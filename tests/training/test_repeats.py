"""The runs over folds and seeds: their configurations, and the check of labels before the videos are prepared."""

import pytest

from slowfast_tf import config
from slowfast_tf.errors import InputError
from slowfast_tf.training import repeats


def test_the_saved_configuration_loads(configure, tmp_path):
    """The run reads records, so the reader of the video files does not apply."""
    (run,) = repeats.repeat(configure("data.reader=tensorflow_io"), 1, tmp_path / "runs", tmp_path / "records")
    run.from_records.save(tmp_path / "config.json")
    assert config.load(tmp_path / "config.json") == run.from_records


@pytest.mark.parametrize("split", ["train", "val"])
def test_several_labels_are_an_error_before_the_videos_are_read(configure, tmp_path, split):
    """The files are empty."""
    root = tmp_path / "data"
    root.mkdir()
    (root / "classes.txt").write_text("run\nsit\n")
    for name in ("train", "val"):
        for number in range(2):
            (root / f"{name}{number}.mp4").touch()
        (root / f"{name}.csv").write_text(f"{name}0.mp4,run\n{name}1.mp4,{'run;sit' if name == split else 'sit'}\n")
    settings = configure("data.dataset=lists", f"data.root={root}")
    runs = repeats.repeat(settings, 2, tmp_path / "runs", tmp_path / "records")
    with pytest.raises(InputError, match=f"^{split}1.mp4 has several labels; set model.activation to sigmoid$"):
        repeats.prepare_videos(runs)
    assert not (tmp_path / "records").exists()
