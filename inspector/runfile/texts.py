"""Small structures as the JSON texts that a run file holds.

Decoding trusts nothing; its errors are short facts (``ValueError``), to which the reader adds the file and the row.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from deepseek.inspector.runfile.schema import MAX_DIMENSIONS, MAX_ENTRIES, MAX_JSON, MAX_TEXT

_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode_pairs(pairs: Mapping[str, float | str]) -> str:
    """Write numbers and texts by name as JSON; NaN and infinities, which JSON lacks, become one-element lists."""
    entries = list(pairs.items())[:MAX_ENTRIES]
    return json.dumps({clean(key): _plain(value) for key, value in entries}, allow_nan=False)


def decode_pairs(text: str) -> dict[str, float | str]:
    """Read what ``encode_pairs`` wrote.

    Raises:
        ValueError: It is anything else.
    """
    pairs = parse(text)
    if not isinstance(pairs, dict) or len(pairs) > MAX_ENTRIES:
        raise ValueError(f"it is not an object of at most {MAX_ENTRIES} entries")
    if any(len(key) > MAX_TEXT for key in pairs):
        raise ValueError(f"it has a name longer than {MAX_TEXT} characters")
    return {key: _number_or_text(value) for key, value in pairs.items()}


def encode_texts(texts: Sequence[str]) -> str:
    """Write at most ``MAX_ENTRIES`` texts as JSON."""
    return json.dumps([clean(text) for text in texts[:MAX_ENTRIES]])


def decode_texts(text: str) -> tuple[str, ...]:
    """Read what ``encode_texts`` wrote.

    Raises:
        ValueError: It is anything else.
    """
    texts = parse(text)
    if not isinstance(texts, list) or len(texts) > MAX_ENTRIES:
        raise ValueError(f"it is not a list of at most {MAX_ENTRIES} texts")
    if not all(isinstance(item, str) and len(item) <= MAX_TEXT for item in texts):
        raise ValueError(f"it holds something other than texts of at most {MAX_TEXT} characters")
    return tuple(texts)


def encode_shape(shape: Sequence[int]) -> str:
    """Write a shape as a JSON list."""
    return json.dumps([int(size) for size in shape])


def decode_shape(text: str, itemsize: int) -> tuple[int, ...]:
    """Read a shape whose tensor has fewer than 2**63 bytes.

    Raises:
        ValueError: It is anything else.
    """
    return checked_shape(parse(text), itemsize)


def checked_shape(shape: object, itemsize: int) -> tuple[int, ...]:
    """Give a shape that was read as JSON, whose tensor has fewer than 2**63 bytes.

    Raises:
        ValueError: It is anything else.
    """
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"its shape is not a list of at most {MAX_DIMENSIONS} sizes")
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise ValueError("its shape holds something other than sizes")
    if math.prod(size for size in shape if size) * max(itemsize, 1) >= 2**63:
        raise ValueError("its shape is larger than any tensor")
    return tuple(shape)


@lru_cache(maxsize=256)
def clean(text: str) -> str:
    """Cut a text to ``MAX_TEXT`` characters and replace what UTF-8 cannot hold."""
    return str(text)[:MAX_TEXT].encode("utf-8", "replace").decode()


def _plain(value: float | str) -> float | str | list[str]:
    if isinstance(value, str):
        return clean(value)
    number = float(value)
    return number if math.isfinite(number) else [str(number)]


def _number_or_text(value: object) -> float | str:
    match value:
        case str() if len(value) <= MAX_TEXT:
            return value
        case [str() as name] if name in _NONFINITE:
            return _NONFINITE[name]
        case float() if math.isfinite(value):
            return value
    raise ValueError("it holds something other than numbers and short texts")


def parse(text: str) -> object:
    """Read JSON.

    Raises:
        ValueError: It is none, or too long.
    """
    if len(text) > MAX_JSON:
        raise ValueError(f"it is longer than {MAX_JSON} characters")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
