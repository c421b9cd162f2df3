"""A prepared data set that the tests of records share."""

import shutil

import pytest
from helpers.preparing import configuration

from slowfast_tf.data.records.prepare import prepare


@pytest.fixture(scope="session")
def prepared(folder, tmp_path_factory):
    """`folder` with a broken video in it, prepared; and the configuration."""
    root = tmp_path_factory.mktemp("source") / "videos"
    shutil.copytree(folder, root)
    (root / "train" / "ant" / "broken.mp4").write_bytes((root / "train" / "ant" / "00.mp4").read_bytes()[:700])
    settings = configuration(root, short_side=32, shards=3, flow=True)
    output = root.parent / "records"
    prepare(settings, str(output))
    return settings, root, output
