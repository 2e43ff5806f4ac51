"""Frames, rows and small structures as the bytes and texts that a run file holds.

Decoding trusts nothing: types, lengths and counts are checked before anything is allocated. The errors raised here are
short facts (``ValueError``); the reader adds the file, the step and the kind.
"""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepseek.inspector.record import Frame
from deepseek.inspector.runfile.schema import (
    MAX_DIMENSIONS,
    MAX_ENTRIES,
    MAX_FRAME_ROWS,
    MAX_JSON,
    MAX_TEXT,
    Table,
)
from deepseek.kernels.summary.columns import COLUMNS

Value = int | float | str | bytes | None
"""What SQLite can hold."""

_HEADER = struct.Struct("<4sIII")
_MAGIC = b"DSFR"
_FRAME_VERSION = 1
_ROW_BYTES = 8 * len(COLUMNS) + 3 * 4
_NONFINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode_frame(frame: Frame) -> bytes:
    """Pack a frame: header, then the values row by row, then the site, call and layout columns, little-endian."""
    rows = len(frame)
    if rows > MAX_FRAME_ROWS:
        raise ValueError(f"a frame holds at most {MAX_FRAME_ROWS} rows, not {rows}")
    if frame.values.shape != (rows, len(COLUMNS)) or not len(frame.call) == len(frame.layout) == rows:
        raise ValueError(f"a frame of {rows} rows needs values of shape ({rows}, {len(COLUMNS)})")
    ids = (np.ascontiguousarray(ids, "<u4").tobytes() for ids in (frame.site, frame.call, frame.layout))
    header = _HEADER.pack(_MAGIC, _FRAME_VERSION, rows, len(COLUMNS))
    return b"".join((header, np.ascontiguousarray(frame.values, "<f8").tobytes(), *ids))


def decode_frame(data: bytes) -> Frame:
    """Unpack a frame; its arrays are read-only and share the memory of ``data``.

    Raises:
        ValueError: The header is foreign or the number of bytes does not fit it.
    """
    if len(data) < _HEADER.size:
        raise ValueError("its header is cut off")
    magic, version, rows, columns = _HEADER.unpack_from(data)
    if (magic, version, columns) != (_MAGIC, _FRAME_VERSION, len(COLUMNS)):
        raise ValueError("its header is not that of a frame")
    if rows > MAX_FRAME_ROWS or len(data) != _HEADER.size + rows * _ROW_BYTES:
        raise ValueError(f"its {len(data)} bytes do not hold the {rows} rows it announces")
    values = np.frombuffer(data, "<f8", rows * columns, _HEADER.size).reshape(rows, columns)
    ids = np.frombuffer(data, "<u4", 3 * rows, _HEADER.size + values.nbytes).reshape(3, rows)
    site, call, layout = ids.astype(np.uint32, copy=False)
    return Frame(site, call, layout, values.astype(np.float64, copy=False))


def checksum(table: Table, values: Sequence[Value]) -> int:
    """CRC-32 over the table's name and every value with its type, so that rows cannot be changed or exchanged."""
    crc = zlib.crc32(table.name.encode())
    for value in values:
        crc = zlib.crc32(_canonical(value), crc)
    return crc


def seal(table: Table, values: Sequence[Value]) -> tuple[Value, ...]:
    """Make a row fit for storing: NaN becomes NULL, and the checksum is added."""
    row = tuple(None if isinstance(value, float) and math.isnan(value) else value for value in values)
    return (*row, checksum(table, row))


def unseal(table: Table, row: Sequence[Value]) -> tuple[Any, ...]:
    """Check a stored row's checksum and types and give back its values; NULL becomes NaN in float columns.

    Raises:
        ValueError: The row is not as it was written.
    """
    *values, crc = row
    for value, (name, kind) in zip(values, table.columns.items(), strict=True):
        if type(value) is not kind and not (kind is float and value is None):
            raise ValueError(f"its {name} is of type {type(value).__name__}, not {kind.__name__}")
        if isinstance(value, str) and len(value) > MAX_JSON:
            raise ValueError(f"its {name} is longer than {MAX_JSON} characters")
    if crc != checksum(table, values):
        raise ValueError("its checksum is wrong")
    return tuple(math.nan if value is None else value for value in values)


def encode_pairs(pairs: Mapping[str, float | str]) -> str:
    """Write numbers and texts by name as JSON; NaN and infinities, which JSON lacks, become one-element lists."""
    entries = list(pairs.items())[:MAX_ENTRIES]
    return json.dumps({clean(key): _plain(value) for key, value in entries}, allow_nan=False)


def decode_pairs(text: str) -> dict[str, float | str]:
    """Read what ``encode_pairs`` wrote.

    Raises:
        ValueError: It is anything else.
    """
    pairs = _parse(text)
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
    texts = _parse(text)
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
    shape = _parse(text)
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"its shape is not a list of at most {MAX_DIMENSIONS} sizes")
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise ValueError("its shape holds something other than sizes")
    if math.prod(size for size in shape if size) * max(itemsize, 1) >= 2**63:
        raise ValueError("its shape is larger than any tensor")
    return tuple(shape)


def clean(text: str) -> str:
    """Cut a text to ``MAX_TEXT`` characters and replace what UTF-8 cannot hold."""
    return str(text)[:MAX_TEXT].encode("utf-8", "replace").decode()


def _canonical(value: Value) -> bytes:
    match value:
        case None:
            return b"n"
        case bytes():
            return b"b%d:" % len(value) + value
        case str():
            text = value.encode("utf-8", "replace")
            return b"s%d:" % len(text) + text
        case float():
            return b"f" + struct.pack("<d", value)
        case _:
            return b"i%d;" % value


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


def _parse(text: str) -> object:
    if len(text) > MAX_JSON:
        raise ValueError(f"it is longer than {MAX_JSON} characters")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
