"""Read text files and csv files, as people and spreadsheets write them."""

import codecs
import contextlib
import csv
import os
import typing
from collections.abc import Iterator, Sequence

from ..errors import InputError


@contextlib.contextmanager
def open_text(path: str | os.PathLike) -> Iterator[typing.TextIO]:
    """Open a text file in UTF-8, with or without the byte order mark that spreadsheets write.

    Raises:
        InputError: if the file cannot be read, is in UTF-16, or is not text.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
        # UTF-16 may lack the byte order mark; of its ASCII characters, every second byte is a NUL.
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start:
            raise InputError(f"{path}: is in UTF-16, or is not text; save it as text in UTF-8")
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def lines(path: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, values) of each line of a csv file that is not blank.

    Raises:
        InputError: if the file cannot be read or has an unterminated quote.
    """
    last, number, quotes = 0, 1, 0

    def counted(file: typing.TextIO) -> Iterator[str]:
        nonlocal quotes
        for line in file:
            quotes += line.count('"')
            yield line

    try:
        with open_text(path) as file:
            reader = csv.reader(counted(file))
            for row in reader:
                if len(row) > 1 or "".join(row).strip():
                    yield number, row
                last, number = number, reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{number}: not a line of a csv file: {error}") from error
    if quotes % 2 and number - last > 1:
        raise InputError(f"{path}:{last}: an unterminated quote, which includes the next {number - last - 1} lines")


def table(path: str | os.PathLike, columns: Sequence[str], problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, values of some columns) of a csv file whose first line names its columns.

    Args:
        path: path of the file.
        columns: names of the columns to take.
        problems: list to extend with a message for each row of a wrong length.

    Raises:
        InputError: if a column is missing, or as `lines`.
    """
    rows = lines(path)
    _, header = next(rows, (1, []))
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"{path}:1: no column {', '.join(missing)}; received {','.join(header)[:100] or 'nothing'!r}")
    places = [header.index(name) for name in columns]
    for number, row in rows:
        if len(row) == len(header):
            yield number, [row[i] for i in places]
        else:
            problems.append(f"{path}:{number}: {len(row)} columns in place of {len(header)}")
