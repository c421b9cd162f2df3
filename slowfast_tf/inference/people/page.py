"""The web page (Gradio) for detection models: a video with the people and their actions drawn in."""

import os
import pathlib
import time
from typing import Any

from ...errors import RunError, VideoError
from ..detectors import Detector
from ..labels import best_in_words, class_names
from .annotate import annotate
from .scoring import Scorer

ACTIONS = 3  # number shown for each person


class Answers:
    """Compute what the page shows for a video. Each video overwrites the files of the previous one.

    Args:
        model: a `SlowFast` with head "roi".
        detector: detector of people.
        scratch: a directory for the files that the page shows.
    """

    def __init__(self, model: Any, detector: Detector, scratch: str | os.PathLike):
        self._labels = class_names(model.spec)
        self._scorer, self._detector = Scorer(model), detector
        self._place = pathlib.Path(scratch, "people")

    def __call__(self, path: str | None) -> tuple[str | None, list[list[Any]], list[str] | None, str]:
        """Return the video with boxes, a row for each person and second, the files to download, and a summary.

        Args:
            path: path of the uploaded video; None if the user removed it.
        """
        if path is None:
            return None, [], None, ""
        start = time.perf_counter()
        try:
            found = annotate(path, self._scorer, self._labels, self._place, self._detector, top=ACTIONS)
        except (RunError, VideoError) as error:
            return None, [], None, failure(error, path)
        rows = [
            [f"{person.time:.1f}", f"#{person.track}", best_in_words(person.actions, self._labels, ACTIONS)]
            for person in found.people
            if person.actions is not None
        ]
        seconds = ", ".join(f"{name} {value:.1f} s" for name, value in found.seconds.items())
        words = f"{found.found()}. {time.perf_counter() - start:.1f} s with the pictures ({seconds})."
        return f"{self._place}.mp4", rows, [f"{self._place}{suffix}" for suffix in (".json", ".csv")], words


def failure(error: RunError | VideoError, path: str) -> str:
    """Return what the page says (Markdown) about an uploaded video that has no result."""
    reason = str(error).replace(path, pathlib.Path(path).name)
    advice = " Upload a video that FFmpeg can read." if isinstance(error, VideoError) else ""
    return f"**This file cannot be shown.** {reason}.{advice}"


def layout(answers: Answers) -> Any:
    """Return the page, a `gradio.Blocks`."""
    import gradio as gr

    with gr.Blocks(title="slowfast_tf", analytics_enabled=False, delete_cache=(600, 3600)) as blocks:
        gr.Markdown("# Who does what in a video")
        with gr.Row():
            source = gr.Video(label="Drop a video here", sources=["upload"], height=320, elem_id="source")
            video = gr.Video(label="People and their actions", interactive=False, height=320, elem_id="people")
        words = gr.Markdown(elem_id="words")
        table = gr.Dataframe(
            headers=["Second", "Person", "Actions"], interactive=False, max_height=400, elem_id="table"
        )
        files = gr.File(label="The same as files", interactive=False, elem_id="files")
        # One video at a time (Gradio's default): each video overwrites the files of the previous one.
        outputs = [video, table, files, words]
        source.change(answers.__call__, source, outputs, api_name="predict", concurrency_limit=1)
    return blocks
