"""A page to drop videos on, on this machine: `python -m slowfast_tf.demo --model PATH`."""

import argparse
import importlib.util
import os
import pathlib
import socket
import tempfile
import time

from . import runtime
from .errors import InputError

# The page fetches nothing from other machines, whatever the library would like to.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:"
)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.demo",
        description="Opens a page on this machine to drop videos on: what happens in them and when, what speaks for"
        " it in each pathway, and how long it took. Nothing leaves the machine. Ctrl-C ends it.",
        epilog="example: python -m slowfast_tf.demo --model runs/demo",
    )
    parser.add_argument("--model", required=True, help="a .keras file, or the directory of a run")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    parser.add_argument("--port", type=int, default=7860, help="(%(default)s)")
    parser.add_argument("--limit", type=int, default=200, metavar="MB", help="largest upload (%(default)s)")
    options = parser.parse_args(arguments)
    if options.limit < 1:
        raise InputError(f"--limit must be at least 1; received {options.limit}")
    if not importlib.util.find_spec("gradio"):
        raise InputError("the page needs Gradio: pip install '.[demo]'")
    try:
        socket.create_server((options.host, options.port)).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen: {reason}; try another --host or --port") from error

    runtime.import_tensorflow()
    from . import load

    model = load(options.model)
    if model.spec.head != "pool":
        raise InputError(f"{options.model} is a detection model, which the page does not show; see predict --boxes")
    with tempfile.TemporaryDirectory(prefix="slowfast_tf_") as scratch:
        serve(page(model, scratch), options)


def serve(blocks, options):
    """Serves a page until Ctrl-C."""
    from starlette.middleware import Middleware

    _, address, _ = blocks.launch(
        server_name=options.host,
        server_port=options.port,
        max_file_size=f"{options.limit}mb",
        share=False,
        ssr_mode=False,
        quiet=True,
        footer_links=[],
        prevent_thread_lock=True,
        app_kwargs={"middleware": [Middleware(_Policy)]},
        theme=_theme(),
    )
    print(f"{address} (Ctrl-C ends it)", flush=True)
    blocks.block_thread()


def page(model, scratch):
    """The page, a `gradio.Blocks`.

    Args:
        model: a `SlowFast` with head "pool".
        scratch: a directory for what is shown last.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio as gr
    from errors import VideoError

    from .inference import plots
    from .inference.predictor import Predictor
    from .inference.sliding import Slider, write_heat

    spec = model.spec
    labels = spec.labels or [str(i) for i in range(spec.num_classes)]
    slider = Slider(Predictor(model), explain=True)
    slider.warm_up()
    timeline_file, heat_file = pathlib.Path(scratch, "timeline.png"), pathlib.Path(scratch, "heat.mp4")

    def answer(path):
        if path is None:
            return None, None, None, ""
        name = pathlib.Path(path).name
        try:
            start = time.perf_counter()
            timeline = slider.slide(path)
            scored = time.perf_counter() - start
            plots.save_timeline(timeline, labels, name, timeline_file)
            write_heat(path, timeline, labels, heat_file, spec)
        except VideoError as error:
            reason = str(error).replace(path, name)
            return None, None, None, f"**This file cannot be shown.** {reason}. Any video that FFmpeg reads will do."
        count = len(timeline.scores)
        words = (
            f"{timeline.edges[-1]:.1f} s of video in {scored:.2f} s, decoding included: {count} window"
            f"{'s' if count > 1 else ''} of {spec.clip_frames} frames, {1000 * scored / count:.0f} ms each."
            f" With the pictures {time.perf_counter() - start:.2f} s."
        )
        scores = dict(zip(labels, timeline.scores.mean(0).tolist()))
        return scores, str(timeline_file), str(heat_file), words

    with gr.Blocks(title="slowfast_tf", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# What happens in a video")
        with gr.Row():
            source = gr.Video(label="Drop a video here", sources=["upload"], height=320, elem_id="source")
            with gr.Column():
                classes = gr.Label(label="Best classes, mean over the video", num_top_classes=5, elem_id="classes")
                words = gr.Markdown(elem_id="words")
        # Headings of their own: a component's label would cover the picture.
        gr.Markdown("### Scores over time")
        timeline = gr.Image(show_label=False, elem_id="timeline", interactive=False, buttons=["download"])
        gr.Markdown("### What speaks for the best class (Grad-CAM), in each pathway")
        heat = gr.Video(show_label=False, elem_id="heat", interactive=False, buttons=["download"])
        # One at a time, gradio's default: the two files are those of the last video.
        source.change(answer, source, [classes, timeline, heat, words], api_name="predict", concurrency_limit=1)
    return blocks


def _theme():
    import gradio as gr

    return gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


class _Policy:
    """Adds the content security policy to every answer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def add(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", _POLICY.encode())]
            await send(message)

        await self.app(scope, receive, add if scope["type"] == "http" else send)


if __name__ == "__main__":
    runtime.run(main)
