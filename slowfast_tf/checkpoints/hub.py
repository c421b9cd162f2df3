"""Download models from the Hugging Face Hub: `hf://OWNER/REPO`, or `hf://OWNER/REPO@REVISION`."""

import importlib.util
import pathlib
import re

from ..errors import InputError

FILE = "model.keras"  # the name in the directory of a run


def is_repository(name: str) -> bool:
    """Return whether a name is a repository of the Hub, not a file in a repository."""
    return name.startswith("hf://") and name.removeprefix("hf://").partition("@")[0].strip("/").count("/") < 2


def check(name: str) -> tuple[str, str | None]:
    """Check the name of a repository, and that huggingface_hub is installed.

    Args:
        name: `hf://OWNER/REPO`, or `hf://OWNER/REPO@REVISION`.

    Returns:
        "OWNER/REPO", and the revision or None.

    Raises:
        InputError: if the name has another form, or if huggingface_hub is not installed.

    Example:
        >>> check("hf://me/slowfast@v1")
        ('me/slowfast', 'v1')
    """
    match = re.fullmatch(r"hf://([^/@]+/[^/@]+)/?(?:@(.+))?", name)
    if not match:
        raise InputError(f"{name}: not a repository of the Hugging Face Hub; give hf://OWNER/REPO[@REVISION]")
    if not importlib.util.find_spec("huggingface_hub"):
        raise InputError(
            f"{name}: the Hugging Face Hub needs huggingface_hub; pip install 'slowfast_tf[hub]', or download {FILE}"
            f" from https://huggingface.co/{match[1]} yourself and give its path"
        )
    return match[1], match[2]


def fetch(name: str) -> pathlib.Path:
    """Return a local copy of the model in a repository, from the Hub's own cache if possible.

    The file is `model.keras`, or else the only `.keras` file of the repository. If there is no connection, a cached
    model is used.

    Args:
        name: as for `check`.

    Raises:
        InputError: if huggingface_hub is not installed, if there is no connection and no cached model, or if the
            repository, the revision or the file is missing.

    Example:
        >>> fetch("hf://me/slowfast").name
        'model.keras'
    """
    repository, revision = check(name)
    import httpx2  # pyright: ignore[reportMissingImports]  # comes with huggingface_hub
    from huggingface_hub import HfApi, constants, errors, hf_hub_download  # pyright: ignore[reportMissingImports]

    address = f"{constants.ENDPOINT}/{repository}"
    try:
        # Request the list of files first: without a connection, hf_hub_download repeats its request for 25 s.
        listed = HfApi().model_info(repository, revision=revision, timeout=10).siblings or ()
        file = _model(name, [entry.rfilename for entry in listed])
        return pathlib.Path(hf_hub_download(repository, file, revision=revision))
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{name}: no revision {revision} at {address}") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"{name}: no repository {address}, or your token may not read it") from error
    except errors.HFValidationError as error:
        raise InputError(f"{name}: not a name of a repository: {_line(error)}") from error
    except (OSError, httpx2.HTTPError) as error:
        folder = _cached(repository, revision)
        if folder:
            return folder / _model(name, [path.name for path in folder.iterdir()])
        raise InputError(
            f"{name}: cannot download {FILE} from {address} ({_line(error)}); check the connection and run again, or"
            " download it yourself and give its path"
        ) from error


def _model(name: str, files: list[str]) -> str:
    """Return the name of the model among the files of a repository."""
    models = [FILE] if FILE in files else [file for file in files if file.endswith(".keras")]
    if len(models) != 1:
        found = ", ".join(models) or "no other .keras file"
        raise InputError(f"{name}: has no {FILE}, but {found}; download a .keras file yourself and give its path")
    return models[0]


def _cached(repository: str, revision: str | None) -> pathlib.Path | None:
    """Return the directory of the cached files of a repository; None if no file is cached."""
    from huggingface_hub import errors, snapshot_download  # pyright: ignore[reportMissingImports]

    try:
        return pathlib.Path(
            snapshot_download(repository, revision=revision, local_files_only=True, allow_patterns="*.keras")
        )
    except (errors.LocalEntryNotFoundError, errors.IncompleteSnapshotError):
        return None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
