"""Hears everything that is printed, logged or warned."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import IO


class _Lines(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def listening(said: list[str]) -> Iterator[None]:
    """Append to ``said`` each warning, log record and printed line, from Python and from below it."""
    handler = _Lines(said)
    logging.getLogger().addHandler(handler)
    try:
        with tempfile.TemporaryFile("w+") as file, _printing_into(file), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            said += [f"{warning.category.__name__}: {warning.message}" for warning in caught]
            file.seek(0)
            said += file.read().splitlines()
    finally:
        logging.getLogger().removeHandler(handler)


@contextmanager
def _printing_into(file: IO[str]) -> Iterator[None]:
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    for descriptor in saved:
        os.dup2(file.fileno(), descriptor)
    try:
        with redirect_stdout(file), redirect_stderr(file):
            yield
        file.flush()
    finally:
        for descriptor, copy in saved.items():
            os.dup2(copy, descriptor)
            os.close(copy)
