"""Prepared data sets: a configuration, the checksums of its records, and JPEG images without the package."""

import hashlib
import io

import numpy as np
import PIL.Image

from slowfast_tf import config


def pixels(image):
    """A JPEG image through a reader that shares nothing with the package."""
    return np.asarray(PIL.Image.open(io.BytesIO(image)).convert("RGB"))


def jpeg(image, quality=95):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "jpeg", quality=quality)
    return file.getvalue()


def checksums(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in directory.iterdir() if p.is_file()}


def configuration(root, **settings):
    return config.Config(
        name="tiny",
        model=config.Model(preset="slowfast_2x16_demo"),
        data=config.Data(dataset="folder", root=str(root)),
        train=config.Train(epochs=1, batch_size=1, learning_rate=0.1),
        prepare=config.Prepare(**settings),
    )
