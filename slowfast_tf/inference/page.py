"""A web page (Gradio) that shows the best classes of a video, scores over time, and a heat map for each pathway.

For detection models see `people.page`.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import RunError, VideoError
from . import plots
from .chosen_views import SLIDING, with_views
from .detectors import Detector
from .labels import class_names
from .people import page as people_page
from .predictor import Predictor
from .sliding import Slider
from .videos import write_heat
from .views import fuse, score_video

# With this policy the browser blocks all requests to other hosts, including those that Gradio would make.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:"
)


@dataclasses.dataclass(frozen=True)
class Page:
    """A page that is being served.

    Attributes:
        address: URL of the page.
        wait: function that blocks until Ctrl-C.
    """

    address: str
    wait: Callable[[], Any]


@contextlib.contextmanager
def serve(
    model: Any,
    host: str = "127.0.0.1",
    port: int = 7860,
    limit: int = 200,
    views: str | None = None,
    detector: Detector | None = None,
) -> Iterator[Page]:
    """Serve the page of a model.

    Args:
        model: a `SlowFast`.
        host: address to listen on.
        port: port to listen on.
        limit: the largest upload, in MB.
        views: what to score, see `predict_files`; by default the views of the model's own test.
        detector: detector of people, for a model with head "roi".

    Yields:
        A `Page`.

    Example:
        >>> with serve(slowfast_tf.load("runs/demo")) as page:
        ...     print(page.address)
        ...     page.wait()
    """
    # Gradio reads these variables at import: they turn its telemetry off.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from gradio import themes
    from starlette.middleware import Middleware

    with tempfile.TemporaryDirectory(prefix="slowfast_tf_") as scratch:
        if model.spec.head == "roi":
            assert detector, "a detection model needs boxes"
            blocks = people_page.layout(people_page.Answers(model, detector, scratch))
        else:
            blocks = _layout(Answers(model, scratch, views))
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            max_file_size=f"{limit}mb",
            share=False,
            ssr_mode=False,
            quiet=True,
            footer_links=[],
            prevent_thread_lock=True,
            app_kwargs={"middleware": [Middleware(_Policy)]},
            theme=themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        )
        try:
            yield Page(address, blocks.block_thread)
        finally:
            blocks.close(verbose=False)


class Answers:
    """Compute what the page shows for a video. Each video overwrites the files of the previous one.

    Args:
        model: a `SlowFast` with head "pool".
        scratch: a directory for the files that the page shows.
        views: as for `serve`.
    """

    def __init__(self, model: Any, scratch: str | os.PathLike, views: str | None = None):
        self._spec = model.spec
        self._labels = class_names(model.spec)
        self._predictor = Predictor(model, with_views(model.spec, views))
        self._sliding = views == SLIDING
        self._slider = Slider(self._predictor, explain=True)
        self._slider.warm_up()
        self._timeline, self._heat = pathlib.Path(scratch, "timeline.png"), pathlib.Path(scratch, "heat.mp4")

    def __call__(self, path: str | None) -> tuple[dict[str, float] | None, str | None, str | None, str]:
        """Return scores by label, the paths of the timeline and the heat map video, and a summary (Markdown).

        Args:
            path: path of the uploaded video; None if the user removed it.
        """
        if path is None:
            return None, None, None, ""
        name = pathlib.Path(path).name
        try:
            start = time.perf_counter()
            timeline = self._slider.slide(path)
            views = self._predictor.spec.views
            scores = fuse(timeline.scores, views) if self._sliding else score_video(self._predictor, path)
            scored = time.perf_counter() - start
            plots.save_timeline(timeline, self._labels, name, self._timeline)
            write_heat(path, timeline, self._labels, self._heat, self._spec)
        except (RunError, VideoError) as error:
            return None, None, None, people_page.failure(error, path)
        count = len(timeline.scores)
        windows = f"{count} window{'s' if count > 1 else ''} of {self._spec.clip_frames} frames"
        words = (
            f"{timeline.edges[-1]:.1f} s of video in {scored:.2f} s, decoding included:"
            f" {'the windows' if self._sliding else f'{views} views'} for the best classes, {windows} over time."
            f" With the pictures {time.perf_counter() - start:.2f} s."
        )
        return dict(zip(self._labels, scores.tolist())), str(self._timeline), str(self._heat), words


def _layout(answers: Answers) -> Any:
    """Return the page, a `gradio.Blocks`."""
    import gradio as gr

    with gr.Blocks(title="slowfast_tf", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# What happens in a video")
        with gr.Row():
            source = gr.Video(label="Drop a video here", sources=["upload"], height=320, elem_id="source")
            with gr.Column():
                classes = gr.Label(label="Best classes", num_top_classes=5, elem_id="classes")
                words = gr.Markdown(elem_id="words")
        # Separate headings: a component's label would cover the picture.
        gr.Markdown("### Scores over time")
        timeline = gr.Image(show_label=False, elem_id="timeline", interactive=False, buttons=["download"])
        gr.Markdown("### Grad-CAM heat map of the best class for each pathway")
        heat = gr.Video(show_label=False, elem_id="heat", interactive=False, buttons=["download"])
        # One video at a time (Gradio's default): each video overwrites the files of the previous one.
        outputs = [classes, timeline, heat, words]
        source.change(answers.__call__, source, outputs, api_name="predict", concurrency_limit=1)
    return blocks


class _Policy:
    """ASGI middleware that adds the content security policy to every response."""

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def add(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", _POLICY.encode())]
            await send(message)

        await self.app(scope, receive, add if scope["type"] == "http" else send)
