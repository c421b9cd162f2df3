"""Time `predict` from its start to the scores and, for comparison, a PyTorch program with the same weights."""

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import typing
from collections.abc import Mapping, Sequence

import numpy as np
import tqdm

from ..errors import InputError, RunError
from ..machine import core_count, cpu_name
from ..models.presets import get_spec
from ..models.spec import SlowFastSpec
from ..runtime import import_tensorflow
from . import goals, peer, reading

OURS, PEER = "slowfast_tf", "PyTorch eager"
ONE, ALL, WHOLE = "1x1", "10x3", "10xwhole"  # views: the first answer, and the published tests
STAGES = (
    "starting Python, and importing",
    "building the network, and loading its weights",
    "reading and scoring the first clip",
    "the same clip again",
)
TOLERANCE = 0.05  # of the standard deviation of the scores; the decoders round colors differently
PROGRAMS = ((ONE, OURS), (ONE, PEER), (ALL, OURS), (ALL, PEER), (WHOLE, OURS))


class Run(typing.NamedTuple):
    """One run of a program.

    Attributes:
        seconds: from its start to its end.
        peak: peak memory, in bytes.
        output: the list that it printed: scores `[classes]`, or the seconds of its stages.
    """

    seconds: float
    peak: int
    output: Sequence[float]


def commands(preset: str, size: int, scratch: pathlib.Path) -> dict[tuple[str, str], list[str]]:
    """Write a video and a network with random weights, in the files of both programs, and return the commands.

    Args:
        preset: name of the network.
        size: height and width of a crop, pixels.
        scratch: an empty directory.

    Returns:
        The command of each of `PROGRAMS` that can run here.
    """
    import keras

    from ..models.slowfast import SlowFast
    from .engines import randomize

    keras.utils.set_random_seed(0)
    try:
        spec = get_spec(preset, crop_size=size, frame_rate=float(reading.RATE))
    except ValueError as error:
        raise InputError(str(error)) from error
    video, model = scratch / "video.mp4", SlowFast(spec)
    reading.write_video(video, np.random.default_rng(0))
    randomize(model)
    model.save(scratch / "model.keras")
    ours = [sys.executable, "-m", "slowfast_tf.predict", str(video), "--model", str(scratch / "model.keras"), "--json"]
    ours += ["--top-k", str(spec.num_classes), "--views"]
    found = {(views, OURS): [*ours, views] for views in (ONE, ALL, WHOLE)}
    if importlib.util.find_spec("torch") and not peer.unsupported(spec):
        import torch

        network, weights = peer.build(spec), scratch / "weights.pt"
        peer.copy_to_torch(model, network)
        torch.save(network.state_dict(), weights)
        for views in (ONE, ALL):
            request = json.dumps(dataclasses.asdict(_request(spec, views, str(weights), str(video))))
            found[views, PEER] = [sys.executable, "-m", "slowfast_tf.benchmarks.torch_predict", request]
    return {program: found[program] for program in PROGRAMS if program in found}


def _request(spec: SlowFastSpec, views: str, weights: str, video: str) -> typing.Any:
    from .torch_predict import Request

    return Request(
        weights=weights,
        video=video,
        network=peer.arguments(spec),
        clips=int(views.split("x")[0]),
        crops=int(views.split("x")[1]),
        frames=spec.clip_frames,
        stride=spec.stride // spec.alpha,
        alpha=spec.alpha,
        size=spec.crop_size,
        mean=[255 * value for value in spec.mean],
        std=[255 * value for value in spec.std],
    )


def time_stages(model: str, video: str, began: float) -> list[float]:
    """Return the seconds of each of `STAGES` in this process.

    Args:
        model: a `.keras` file.
        video: a video file.
        began: when the process was started, in seconds of `time.time`.
    """
    import_tensorflow()
    from ..checkpoints.names import load
    from ..inference import Predictor
    from ..inference.chosen_views import with_views
    from ..inference.views import score_video

    times = [began, time.time()]
    network = load(model)
    times.append(time.time())
    predictor = Predictor(network, with_views(network.spec, ONE))
    for _ in range(2):
        score_video(predictor, video)
        times.append(time.time())
    return np.diff(times).tolist()


def stages_table(programs: Mapping[tuple[str, str], Sequence[str]], scratch: pathlib.Path, rounds: int) -> list[str]:
    """Time the stages of the first answer, and return the lines of a table of their medians.

    Args:
        programs: the commands of `commands`.
        scratch: the directory of its files.
        rounds: runs of each program.
    """
    found: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for views, name in programs:
            if views != ONE:
                continue
            if name == OURS:
                arguments = json.dumps([str(scratch / "model.keras"), str(scratch / "video.mp4"), time.time()])
                command = [sys.executable, "-m", "slowfast_tf.benchmarks.worker", "stages", arguments]
            else:
                command = [*programs[views, name], str(time.time())]
            found.setdefault(name, []).append(list(run(command).output))
    medians = {name: np.median(times, 0) for name, times in found.items()}
    lines = [f"| stage | {' | '.join(f'{name}, seconds' for name in medians)} |", "|---" * (1 + len(medians)) + "|"]
    rows = zip(STAGES, *medians.values())
    return lines + [f"| {stage} | {' | '.join(f'{value:.2f}' for value in values)} |" for stage, *values in rows]


def run(command: Sequence[str]) -> Run:
    """Run a program to its end.

    Raises:
        RunError: if it fails.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RunError(f"{' '.join(command[1:3])} failed: {(errors.read().strip().splitlines() or ['?'])[-1]}")
    found = json.loads(output)
    if isinstance(found, dict):
        found = [row["score"] for row in sorted(found["predictions"], key=lambda row: int(row["label"]))]
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), found)


def table(runs: Mapping[tuple[str, str], Sequence[Run]]) -> list[str]:
    """Return the lines of a table of the median seconds, relative to PyTorch's with the same views."""
    lines = [
        "| views | program | seconds, median | fastest | ratio to PyTorch | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for (views, program), found in runs.items():
        share = _share(runs, views)
        share = f"{share:.2f}" if share and program == OURS else "1.00" if program == PEER else ""
        seconds, peak = [one.seconds for one in found], max(one.peak for one in found)
        lines.append(
            f"| {views} | {program} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {share}"
            f" | {peak / 2**30:.1f} GiB |"
        )
    return lines


def _share(runs: Mapping[tuple[str, str], Sequence[Run]], views: str) -> float | None:
    other = ALL if views == WHOLE else views
    if (other, PEER) not in runs:
        return None
    ours, theirs = (statistics.median(one.seconds for one in runs[key]) for key in ((views, OURS), (other, PEER)))
    return ours / theirs


def _check_scores(views: str, found: np.ndarray, expected: np.ndarray) -> None:
    """Raise a RunError unless two programs agree: scores of random weights differ little from class to class."""
    difference = np.abs(found - expected).max() / expected.std()
    if difference > TOLERANCE:
        raise RunError(f"the scores of {views} views differ by {difference:.2g} of their standard deviation")


def section(preset: str, size: int, rounds: int, command: str) -> str:
    """Time the programs in turns, and return a Markdown section.

    Args:
        preset: name of the network.
        size: height and width of a crop, pixels.
        rounds: runs of each program, after one to warm up.
        command: the command that writes the section.

    Raises:
        RunError: if a program fails, or if the programs disagree about the scores.
    """
    import_tensorflow()
    with tempfile.TemporaryDirectory() as scratch:
        programs = commands(preset, size, pathlib.Path(scratch))
        runs: dict[tuple[str, str], list[Run]] = {program: [] for program in programs}
        for views, name in [program for program in programs if program[0] == ONE]:
            run(programs[views, name])  # fills the disk cache, and compiles Python's bytecode
        for program in tqdm.tqdm([*programs] * rounds, "predicting"):
            runs[program].append(run(programs[program]))
        stages = stages_table(programs, pathlib.Path(scratch), rounds)
    for views in (ONE, ALL):
        if (views, PEER) in runs:
            _check_scores(views, *(np.array(runs[views, name][0].output) for name in (OURS, PEER)))
    packages = ["tensorflow", *(name for name in ("torch", "torchcodec") if importlib.util.find_spec(name))]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    lines = [
        "## Predict",
        "",
        f"    {command}",
        "",
        f"`{preset}` on a video of 10 s, {reading.WIDTH}x{reading.HEIGHT}, H.264. The time is that of the whole"
        " command, with starting Python, importing, loading the weights and decoding. `1x1` is the first answer, and"
        " `10x3` the paper's test. `10xwhole` scores whole frames in one pass instead of three crops.",
        "The PyTorch program loads the same weights into eager PyTorch with channels last, and decodes with torchcodec."
        " Its scores are the same.",
        f"Medians of {rounds} runs, in turn, after one run to warm up. {core_count()} cores, {cpu_name()};"
        f" Python {platform.python_version()}, {versions}.",
        "",
        *table(runs),
        "",
        *stages,
        *goals.table(
            [
                goals.Goal("time to the first answer, ratio to PyTorch", 1.0, _share(runs, ONE)),
                goals.Goal("time of 30 views, ratio to PyTorch", 1.0, _share(runs, ALL)),
            ]
        ),
    ]
    return "\n".join(lines)
