"""Files of explanations: numbers and plain text only, so that reading one can do no harm."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError

Number = Literal["<f8", "<f4"]
"""How the numbers of a file are stored: little-endian, of 8 or 4 bytes."""

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, RuntimeError)
"""What reading a file raises that nobody has written with ``write``."""


def write(
    path: str | os.PathLike[str],
    magic: bytes,
    about: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    number: Number = "<f8",
) -> Path:
    """Write ``magic``, the length of a text in JSON, the text, and the arrays.

    Args:
        path: Where to write.
        magic: What the file begins with.
        about: Everything that is no array.
        arrays: By name.
        number: How numbers are stored.

    Returns:
        The path, made absolute.

    Raises:
        DeepseekError: The file cannot be written.
    """
    text = json.dumps({**about, "shapes": {name: array.shape for name, array in arrays.items()}}).encode()
    numbers = b"".join(np.asarray(array, number).tobytes() for array in arrays.values())
    return put(path, magic + len(text).to_bytes(8, "little") + text + numbers)


def put(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file, and return its path, made absolute.

    Raises:
        DeepseekError: The file cannot be written.
    """
    try:
        target = Path(path).expanduser().absolute()
        target.write_bytes(content)
    except (OSError, ValueError, RuntimeError) as error:
        raise DeepseekError(
            f"Expected a path where the explanation can be written, got {os.fspath(path)[:500]}: {error}"
        ) from error
    return target


def read(
    path: str | os.PathLike[str], magic: bytes, *, number: Number = "<f8"
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read the text and the arrays of a file, which take no more memory than the file is long.

    Raises:
        ValueError: The file is foreign or damaged; see ``explained`` for whatever else it may raise.
    """
    content = Path(path).expanduser().read_bytes()
    if not content.startswith(magic):
        raise ValueError("it does not begin as such a file does")
    start = len(magic) + 8
    end = start + int.from_bytes(content[len(magic) : start], "little")
    about = json.loads(content[start:end])
    shapes = {str(name): tuple(map(int, shape)) for name, shape in about.pop("shapes").items()}
    numbers = np.frombuffer(content[end:], number)
    if sum(map(math.prod, shapes.values())) != len(numbers) or any(size < 0 for s in shapes.values() for size in s):
        raise ValueError("its numbers do not fit their shapes")
    arrays, start = {}, 0
    for name, shape in shapes.items():
        arrays[name] = numbers[start : start + math.prod(shape)].reshape(shape).astype(number.replace("<", "="))
        start += math.prod(shape)
    return about, arrays


@contextmanager
def explained(path: str | os.PathLike[str], writer: str) -> Iterator[None]:
    """Turn whatever reading a foreign or damaged file raises into our error.

    Args:
        path: The file.
        writer: What writes such files, such as ``Attribution.save``.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise DeepseekError(f"Expected a file written by {writer}, got {os.fspath(path)[:500]}: {error}") from error
