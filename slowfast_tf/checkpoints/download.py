"""Download a published file with a progress bar, whole or not at all; an interrupted download is resumed."""

import contextlib
import hashlib
import http.client
import os
import pathlib
import re
import sys
import urllib.error
import urllib.request

import tqdm

from ..errors import InputError
from ..files.full_disk import writing
from ..files.lock import hold


def download(address: str, path: pathlib.Path) -> None:
    """Download a file, or resume an interrupted download; do nothing if the file exists.

    The content is in `PATH.part` until the file is complete. One process downloads the file, and other processes wait.
    The size is compared with the size that the server announces. The hash is checked if the address has one: file names
    of MMAction2 end in the first eight digits of the SHA-256.

    Raises:
        InputError: if there is no connection, if the server refuses, or if the file differs from the published file.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold(path.with_name(path.name + ".lock")))
        except OSError as error:
            raise InputError(f"cannot write {path.parent}: {error.strerror}; set KERAS_HOME to another one") from error
        if not path.exists():
            _download(address, path)
        _check_hash(address, path)


def _download(address: str, path: pathlib.Path) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with writing(part):
            total = _fetch(address, part)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"cannot download {address} ({getattr(error, 'reason', None) or error}); check the connection and run"
            f" again, or put the file at {path} yourself"
        ) from error
    if total is not None and part.stat().st_size != total:
        raise InputError(
            f"the download of {address} stopped at {part.stat().st_size:,} of {total:,} bytes; run again to resume,"
            f" or put the file at {path} yourself"
        )
    os.replace(part, path)


def _check_hash(address: str, path: pathlib.Path) -> None:
    published = re.search(r"-([0-9a-f]{8})\.pth$", address)
    if published:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if not found.startswith(published.group(1)):
            path.unlink()
            raise InputError(f"{address} is damaged (SHA-256 {found}) and was removed from {path}; run again")


def _fetch(address: str, part: pathlib.Path) -> int | None:
    """Append the missing bytes to a partial file; return the full size, or None if the server does not send it."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        # The server has no further bytes: the download was complete, or the partial file is of another version.
        if have and error.code == 416:
            if error.headers.get("Content-Range") == f"bytes */{have}":
                return have
            part.unlink()
            raise OSError("the file there has changed since the download began") from error
        raise
    with response:
        if response.headers.get_content_type() == "text/html":  # such as the login page of a proxy
            raise OSError("a web page came instead of the file")
        if response.status != 206:  # the server ignores the range and sends the whole file
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        print(f"downloading {address}", file=sys.stderr)  # standard output is for the results of a command
        with (
            open(part, "ab" if have else "wb") as file,
            tqdm.tqdm(total=total, initial=have, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while chunk := response.read(1 << 20):
                file.write(chunk)
                bar.update(len(chunk))
    return total
