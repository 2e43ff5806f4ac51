"""Frames and unit counts as the bytes that a run file holds.

Decoding trusts nothing: lengths and counts are checked before anything is allocated. The errors raised here are short
facts (``ValueError``); the reader adds the file and the row.
"""

import struct

import numpy as np

from deepseek.inspector.record import Frame, UnitCounts
from deepseek.inspector.runfile.schema import MAX_FRAME_ROWS, MAX_UNITS
from deepseek.kernels.summary.columns import COLUMNS

_HEADER = struct.Struct("<4sIII")
_FRAME = b"DSFR"
_UNITS = b"DSUC"
_VERSION = 1
_ROW_BYTES = 8 * len(COLUMNS) + 3 * 4


def encode_frame(frame: Frame) -> bytes:
    """Pack a frame: header, then the values row by row, then the site, call and layout columns, little-endian."""
    rows = len(frame)
    if rows > MAX_FRAME_ROWS:
        raise ValueError(f"a frame holds at most {MAX_FRAME_ROWS} rows, not {rows}")
    if frame.values.shape != (rows, len(COLUMNS)) or not len(frame.call) == len(frame.layout) == rows:
        raise ValueError(f"a frame of {rows} rows needs values of shape ({rows}, {len(COLUMNS)})")
    ids = (np.ascontiguousarray(ids, "<u4").data for ids in (frame.site, frame.call, frame.layout))
    header = _HEADER.pack(_FRAME, _VERSION, rows, len(COLUMNS))
    return b"".join((header, np.ascontiguousarray(frame.values, "<f8").data, *ids))


def decode_frame(data: bytes) -> Frame:
    """Unpack a frame; its arrays are read-only and share the memory of ``data``.

    Raises:
        ValueError: The header is foreign or the number of bytes does not fit it.
    """
    if len(data) < _HEADER.size:
        raise ValueError("its header is cut off")
    magic, version, rows, columns = _HEADER.unpack_from(data)
    if (magic, version, columns) != (_FRAME, _VERSION, len(COLUMNS)):
        raise ValueError("its header is not that of a frame")
    if rows > MAX_FRAME_ROWS or len(data) != _HEADER.size + rows * _ROW_BYTES:
        raise ValueError(f"its {len(data)} bytes do not hold the {rows} rows it announces")
    values = np.frombuffer(data, "<f8", rows * columns, _HEADER.size).reshape(rows, columns)
    ids = np.frombuffer(data, "<u4", 3 * rows, _HEADER.size + values.nbytes).reshape(3, rows)
    site, call, layout = ids.astype(np.uint32, copy=False)
    return Frame(site, call, layout, values.astype(np.float64, copy=False))


def encode_units(counts: UnitCounts) -> bytes:
    """Pack unit counts: header with units and samples, then the active and the saturated counts, little-endian."""
    units = len(counts.active)
    if units > MAX_UNITS or counts.active.shape != (units,) or counts.saturated.shape != (units,):
        raise ValueError(f"expected two counts for each of at most {MAX_UNITS} units; got {counts.active.shape}")
    _check_counts(counts)
    header = _HEADER.pack(_UNITS, _VERSION, units, counts.samples)
    return b"".join((header, counts.active.astype("<u4").data, counts.saturated.astype("<u4").data))


def decode_units(site: int, data: bytes) -> UnitCounts:
    """Unpack unit counts; the arrays are read-only and share the memory of ``data``.

    Raises:
        ValueError: The header is foreign, the number of bytes does not fit it, or a count is above the samples.
    """
    if len(data) < _HEADER.size:
        raise ValueError("its header is cut off")
    magic, version, units, samples = _HEADER.unpack_from(data)
    if (magic, version) != (_UNITS, _VERSION):
        raise ValueError("its header is not that of unit counts")
    if units > MAX_UNITS or len(data) != _HEADER.size + 8 * units:
        raise ValueError(f"its {len(data)} bytes do not hold the {units} units it announces")
    active, saturated = np.frombuffer(data, "<u4", 2 * units, _HEADER.size).reshape(2, units)
    counts = UnitCounts(site, samples, active.astype(np.uint32, copy=False), saturated.astype(np.uint32, copy=False))
    _check_counts(counts)
    return counts


def _check_counts(counts: UnitCounts) -> None:
    if not 0 <= counts.samples < 2**32:
        raise ValueError(f"there are {counts.samples} samples, not fewer than 2**32")
    for array in (counts.active, counts.saturated):
        if len(array) and not (array.min() >= 0 and array.max() <= counts.samples):
            raise ValueError(f"a unit has a count outside of its {counts.samples} samples")
