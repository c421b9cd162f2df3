"""Labels of videos from TF Serving, over gRPC or REST.

pip install tensorflow-serving-api numpy av
python export/serving/client.py holiday.mp4 --server localhost:8500
python export/serving/client.py holiday.mp4 --server http://localhost:8501
"""

import argparse
import base64
import http.client
import io
import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import av
import frames
import grpc
import numpy as np

MAX_BYTES = 128 * 2**20
# The client repeats these requests: the server is starting, or its queue is full.
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class ServerError(Exception):
    """The server has refused a request or cannot be reached; the message is one line."""


def main():
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    parser.add_argument("--server", default="localhost:8500", help="HOST:PORT (gRPC) or http://HOST:PORT (REST)")
    parser.add_argument("--model", default="slowfast", help="name of the model on the server (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="longest part to send (%(default)s)")
    parser.add_argument("--short-side", type=int, default=256, help="pixels of the shorter side (%(default)s)")
    parser.add_argument("--no-rate", action="store_true", help="send no rate, for SavedModels of earlier versions")
    parser.add_argument("--raw", action="store_true", help="send pixels, not JPEG: about nine times the bytes, no loss")
    parser.add_argument("--deadline", type=float, default=30.0, help="seconds per request, with retries (%(default)s)")
    options = parser.parse_args()
    for name in ("seconds", "short_side", "deadline"):
        if getattr(options, name) <= 0:
            print(
                f"error: --{name.replace('_', '-')} must be above 0; received {getattr(options, name)}", file=sys.stderr
            )
            sys.exit(2)
    ask = ask_rest if options.server.startswith(("http://", "https://")) else ask_grpc
    failed = False
    for path in options.videos:
        try:
            clip, rate = read(path, options.seconds, options.short_side)
            began = time.perf_counter()
            rate = None if options.no_rate else rate
            found = ask(options.server, options.model, clip, rate, options.raw, options.deadline)
        except (ValueError, ServerError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        labels = ", ".join(f"{label} {score:.3f}" for label, score in found)  # never None: `_waits` is endless  # pyright: ignore[reportOptionalIterable]
        print(f"{path}: {labels} ({1000 * (time.perf_counter() - began):.0f} ms)", flush=True)
    sys.exit(1 if failed else 0)


def read(path, seconds, short_side):
    """Return the frames of the middle `seconds` of a video, and its frame rate.

    Args:
        path: a file that FFmpeg can open.
        seconds: longest duration of the frames.
        short_side: longest shorter side of the frames, in pixels; larger frames are downscaled.

    Returns:
        uint8 `[N, H, W, 3]`, and the frames per second.
    """
    there, rate = frames.probe(path)
    count = round(min(seconds * rate, there))
    # Leave out an even number of frames: otherwise the middle would move by half a frame.
    start = min(there - count + 1, there - 1) // 2
    if start:
        sent, length = (there - 2 * start) / rate, there / rate
        print(f"{path}: sends the middle {sent:.1f} of {length:.1f} seconds; --seconds sends more", file=sys.stderr)
    clip = frames.read_frames(path, range(start, there - start), short_side)
    height, width = clip.shape[1:3]
    scale = short_side / min(height, width)
    if scale >= 1:
        return clip, rate
    size = [max(round(side * scale), short_side) for side in (width, height)]
    return np.stack([av.VideoFrame.from_ndarray(f, "rgb24").reformat(*size).to_ndarray() for f in clip]), rate


def ask_grpc(server, model, clip, rate, raw, deadline):
    """Return the best labels of a clip `[N, H, W, 3]` of `rate` frames per second, (label, score), by gRPC.

    Raises:
        ServerError: if the request is larger than `MAX_BYTES`; if the server cannot be reached, is too slow, or refuses
            the request.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()  # pyright: ignore[reportAttributeAccessIssue]
    request.model_spec.name = model
    request.model_spec.signature_name = _signature(raw, rate)
    value = clip[None] if raw else np.array([encode(clip)], object)
    request.inputs["video" if raw else "frames"].CopyFrom(tf.make_tensor_proto(value))
    if rate:
        request.inputs["rate"].CopyFrom(tf.make_tensor_proto(np.array([rate], np.float32)))
    request.output_filter.extend(["labels", "label_scores"])
    if request.ByteSize() > MAX_BYTES:  # gRPC has the same status for this and for a full server, which is asked again
        size, limit = (f"{count / 2**20:.1f} MiB" for count in (request.ByteSize(), MAX_BYTES))
        advice = "fewer --seconds, or leave out --raw" if raw else "fewer --seconds"
        raise ServerError(f"{server}: the request has {size}, and the limit is {limit}; give {advice}")
    limits = [("grpc.max_send_message_length", MAX_BYTES), ("grpc.max_receive_message_length", MAX_BYTES)]
    end = time.monotonic() + deadline
    with grpc.insecure_channel(server, limits) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for wait in _waits():
            try:
                answer = stub.Predict(request, timeout=max(end - time.monotonic(), 0.001))
                break
            except grpc.RpcError as error:
                if error.code() not in AGAIN or time.monotonic() + wait > end:
                    raise ServerError(f"{server}: {error.code().name}: {_line(error.details())}") from error
                time.sleep(wait)
    labels, scores = (tf.make_ndarray(answer.outputs[name])[0] for name in ("labels", "label_scores"))
    return [(label.decode(), float(score)) for label, score in zip(labels, scores)]


def ask_rest(server, model, clip, rate, raw, deadline):
    """Do the same as `ask_grpc` by REST; pixels are sent as JSON numbers, with four times the bytes of gRPC."""
    value = clip.tolist() if raw else [{"b64": base64.b64encode(f).decode()} for f in encode(clip)]
    instance = {"video" if raw else "frames": value, **({"rate": rate} if rate else {})}
    body = json.dumps({"signature_name": _signature(raw, rate), "instances": [instance]}).encode()
    request = urllib.request.Request(
        f"{server.rstrip('/')}/v1/models/{model}:predict", body, {"Content-Type": "application/json"}
    )
    end = time.monotonic() + deadline
    for wait in _waits():
        try:
            with urllib.request.urlopen(request, timeout=max(end - time.monotonic(), 0.001)) as answer:
                found = json.load(answer)["predictions"][0]
            return list(zip(found["labels"], found["label_scores"]))
        except urllib.error.HTTPError as error:
            again, why = error.code in (429, 503), f"{error.code}: {_line(error.read().decode(errors='replace'))}"
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            again = isinstance(why, ConnectionError)
        if not again or time.monotonic() + wait > end:
            raise ServerError(f"{server}: {why}")
        time.sleep(wait)


def _signature(raw, rate):
    if rate:
        return "rated" if raw else "rated_jpeg"
    return "serving_default" if raw else "jpeg"


def encode(clip):
    """Return each frame as a JPEG."""
    height, width = clip.shape[1:3]
    encoded = []
    for frame in clip:
        file = io.BytesIO()
        with av.open(file, "w", "mjpeg") as container:
            stream = container.add_stream("mjpeg", 25, options={"qmin": "2", "qmax": "2"})
            stream.height, stream.width, stream.pix_fmt = height, width, "yuvj420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(stream.encode())
        encoded.append(file.getvalue())
    return encoded


def _waits():
    """Yield the seconds to wait before each retry: doubled each time, up to 5."""
    wait = 0.2
    while True:
        yield wait
        wait = min(2 * wait, 5)


def _line(text):
    return " ".join((text or "").split())[:300]


if __name__ == "__main__":
    main()
