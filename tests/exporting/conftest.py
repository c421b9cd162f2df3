"""Videos, clips and exported files that these tests share."""

import pytest
from helpers.coded_video import write
from helpers.pictures import picture

from slowfast_tf.exporting import calibration, folded, onnx, tflite

QUANTIZE = {"none": "none", "float16": "float16", "dynamic": "dynamic", "int8": "int8", "int8_io": "int8"}


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    sizes = [(40, 40, 48, 0), (50, 36, 64, 3), (9, 51, 35, 7)]
    return [
        write(root / f"v{n}.mp4", [picture(n, t, h, w) for t in range(count)], pix_fmt="yuv444p", qp=1, g=10, bf=2)
        for count, h, w, n in sizes
    ]


@pytest.fixture(scope="session")
def clips(model, videos):
    return list(calibration.read_calibration_clips(videos, model.spec))


@pytest.fixture(scope="session")
def network(model):
    return folded.Network(model, lowering="conv2d", batch=1, size=32)


@pytest.fixture(scope="session")
def files(model, network, clips, tmp_path_factory):
    """Every form of a file, as `tflite.export` writes it of one `Network`, and ONNX."""
    root = tmp_path_factory.mktemp("files")
    for name, quantize in QUANTIZE.items():
        (root / f"{name}.tflite").write_bytes(tflite.convert(network, quantize, clips, int8_io=name == "int8_io"))
    onnx.export(model, root / "tiny.onnx")
    onnx.export(model, root / "int8.onnx", "int8", clips)
    return root
