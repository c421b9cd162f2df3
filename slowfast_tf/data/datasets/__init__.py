"""The videos and labels of a data set; one module for each."""

import dataclasses
import gc
import importlib
import math

from ...errors import InputError, OutsideError, VideoError
from ..reference import resolve


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A split of a data set.

    Attributes:
        videos: a tuple of `Video`, in the order of the data set's own lists.
        labels: the class names.
        problems: a tuple of lines, "FILE:LINE: what is wrong", of what was left out. Missing videos are counted in
            the last one.
    """

    videos: tuple
    labels: tuple
    problems: tuple = ()


def load_split(dataset, root, split, strict=False):
    """The videos of a split.

    Args:
        dataset: name of a module of this package.
        root: directory of the data set.
        split: "train" or "val".
        strict: take problems for an error.

    Returns:
        A `Dataset`.

    Raises:
        InputError: where the data set is not there (says which files were looked for), where no video of it is left,
            and, if `strict`, where there is a problem.
    """
    # Millions of small objects that stay: the collector would look through them again and again, half of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        data = _in_utf8(_module(dataset).load(root, split))
    except OSError as error:
        if error.filename is None:
            raise
        raise InputError(f"cannot read or write {error.filename}: {error.strerror}") from error
    finally:
        if collects:
            gc.enable()
    if strict:
        check(data.videos, data.problems)
    return data


def _in_utf8(data):
    """A `Dataset` without the videos whose names are not in UTF-8, which TensorFlow and records cannot hold."""
    videos, problems = [], list(data.problems)
    for source in data.videos:
        try:
            source.path.encode()
            source.id.encode()
        except UnicodeEncodeError:
            problems.append(f"{_legible(source.path)}: a name that is not in UTF-8; rename it")
        else:
            videos.append(source)
    for label in data.labels:
        if label != _legible(label):
            raise InputError(f"class {_legible(label)!r}: a name that is not in UTF-8; rename it")
    if not videos:
        raise InputError(f"no video is left; the first of {len(problems)} problems: {problems[0]}")
    return dataclasses.replace(data, videos=tuple(videos), problems=tuple(problems))


def _legible(text):
    return text.encode(errors="surrogateescape").decode(errors="replace")


def check(videos, problems):
    """What `--strict` asks for: no problems, nor any label or key frame past the end of its video.

    Raises:
        InputError: with the first one.
    """
    problems = list(problems)
    for source in videos:
        # Only these lists tell times, or may lack images; others need no look at each video.
        times = source.key is not None or any(math.isfinite(end) for _, _, end in source.labels)
        if times or source.rate is not None:
            try:
                problems += resolve(source).problems
            except OutsideError as error:
                problems.append(str(error))
            except VideoError:
                pass  # is skipped when it is read, and listed
    problems = list(dict.fromkeys(problems))  # a film has hundreds of key frames
    if problems:
        raise InputError(f"{problems[0]} (the first of {len(problems)} problems; mend them or drop --strict)")


def own_metrics(dataset, truth, predicted):
    """Figures that only this data set has, by name; none for most.

    Args:
        dataset: name of a module of this package.
        truth, predicted: class indices `[N]`.
    """
    own = getattr(_module(dataset), "own_metrics", None)
    return own(truth, predicted) if own else {}


def annotation_files(dataset, root):
    """Annotations, label map and excluded time stamps of "val", paths of AVA's form, of a data set of boxes or of
    records made of one; none of other data sets.

    Raises:
        InputError: where they are not there.
    """
    own = getattr(_module(dataset), "annotation_files", None)
    return own(root) if own else ()


def _module(dataset):
    made = {"demo": "synthetic.shapes", "demo_detection": "synthetic.people", "movers": "synthetic.movers"}
    return importlib.import_module(f"{__name__}.{made.get(dataset, dataset)}")
