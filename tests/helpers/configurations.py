"""The smallest configuration, and the messages of those that are refused."""

import pytest

from slowfast_tf import config
from slowfast_tf.errors import InputError

MINIMAL = {
    "name": "n",
    "model": {"preset": "slowfast_4x16_r50"},
    "data": {"dataset": "folder", "root": "videos"},
    "train": {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "warmup_epochs": 0},
}


def mistake(path, *overrides):
    """The message for a configuration that must be refused: one line."""
    with pytest.raises(InputError) as error:
        config.load(path, overrides)
    message = str(error.value)
    assert "\n" not in message
    return message
