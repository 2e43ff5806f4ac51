"""A closer look at a layer as what a run file holds: JSON for the facts, bytes for the arrays.

Decoding trusts nothing; its errors are short facts (``ValueError``), to which the reader adds the file and the row.
"""

import json
import math
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.detail.data import (
    BINS,
    EXPONENTS,
    FORMATS,
    KINDS,
    MAX_HISTOGRAMS,
    MAX_PICTURE,
    MAX_UNITS,
    Detail,
    Histogram,
    Picture,
    PictureKind,
    UnitActivity,
    UnitsOf,
)
from deepseek.inspector.runfile.checks import need
from deepseek.inspector.runfile.schema import MAX_STEP, MAX_TEXT
from deepseek.inspector.runfile.texts import clean, parse

_FACTS = {"type", "watched", "calls", "note", "times", "bytes", "histograms", "units", "picture"}
_NUMBERS = BINS + len(EXPONENTS) + 3 * len(FORMATS)
"""Counts of a histogram, 8 bytes each."""


def encode_detail(detail: Detail) -> tuple[str, bytes]:
    """Give the facts as JSON; and the counts of each histogram, those of the units, and the picture, little-endian."""
    histograms, units, picture = detail.histograms[:MAX_HISTOGRAMS], detail.units, detail.picture
    facts = {
        "type": clean(detail.type),
        "watched": bool(detail.watched),
        "calls": int(detail.calls),
        "note": clean(detail.note),
        "times": [_plain(detail.forward_ms), _plain(detail.backward_ms)],
        "bytes": [int(detail.output_bytes), int(detail.parameter_bytes), int(detail.gradient_bytes)],
        "histograms": [_histogram_facts(each) for each in histograms],
        "units": units and [units.of, int(units.samples), len(units.active)],
        "picture": picture and [picture.kind, clean(picture.tensor), clean(picture.caption), *picture.values.shape],
    }
    arrays = [each.astype("<i8") for found in histograms for each in (found.counts, found.exponents, found.formats)]
    parts: list[NDArray[Any]] = [*arrays]
    parts += [units.active.astype("<u4"), units.saturated.astype("<u4")] if units else []
    parts += [picture.values.astype("<f4")] if picture else []
    return json.dumps(facts, allow_nan=False), b"".join(each.tobytes() for each in parts)


def decode_detail(site: str, step: int, text: str, data: bytes) -> Detail:
    """Read what ``encode_detail`` wrote.

    Raises:
        ValueError: It is anything else.
    """
    need(_is_text(site) and 0 <= step <= MAX_STEP, "its name or its step is out of range")
    facts = parse(text)
    need(isinstance(facts, dict) and set(facts) == _FACTS, "it is no detail of a layer")
    facts = cast("dict[str, Any]", facts)
    heads = _rows(facts["histograms"], 8, MAX_HISTOGRAMS)
    of, samples, units = (None, 0, 0) if facts["units"] is None else _rows([facts["units"]], 3, 1)[0]
    picture = facts["picture"]
    kind, tensor, caption, rows, columns = (None, "", "", 0, 0) if picture is None else _picture(picture)
    need(_is_count(units, MAX_UNITS), "it has more units than are told apart")
    sizes = (8 * _NUMBERS * len(heads), 8 * units, 4 * rows * columns)
    need(len(data) == sum(sizes), f"its {len(data)} bytes do not hold what it announces")
    counts = np.frombuffer(data, "<i8", _NUMBERS * len(heads)).reshape(-1, _NUMBERS)
    active, saturated = np.frombuffer(data, "<u4", 2 * units, sizes[0]).reshape(2, units)
    values = np.frombuffer(data, "<f4", rows * columns, sum(sizes[:2])).reshape(rows, columns)
    times, bytes_ = _rows([facts["times"]], 2, 1)[0], _rows([facts["bytes"]], 3, 1)[0]
    need(all(map(_is_count, (facts["calls"], *bytes_))), "it has a number that is out of range")
    need(type(facts["watched"]) is bool and _is_text(facts["type"]) and _is_text(facts["note"]), "it has no text")
    return Detail(
        site=site,
        type=facts["type"],
        step=step,
        watched=facts["watched"],
        calls=facts["calls"],
        histograms=tuple(_histogram(head, numbers) for head, numbers in zip(heads, counts, strict=True)),
        units=None if of is None else _units(of, samples, active, saturated),
        picture=None if kind is None else Picture(kind, tensor, caption, values.astype(np.float32, copy=False)),
        forward_ms=_time(times[0]),
        backward_ms=_time(times[1]),
        output_bytes=bytes_[0],
        parameter_bytes=bytes_[1],
        gradient_bytes=bytes_[2],
        note=facts["note"],
    )


def _histogram_facts(found: Histogram) -> list[Any]:
    numbers = (int(found.numel), int(found.zeros), int(found.nonfinite), _plain(found.low), _plain(found.high))
    return [found.kind, clean(found.tensor), clean(found.dtype), *numbers]


def _histogram(head: list[Any], numbers: NDArray[np.int64]) -> Histogram:
    kind, tensor, dtype, numel, zeros, nonfinite, low, high = head
    need(kind in KINDS and _is_text(tensor) and _is_text(dtype), "a histogram is of nothing that there is")
    need(all(map(_is_count, (numel, zeros, nonfinite))), "a histogram has a number that is out of range")
    low, high = _number(low), _number(high)
    finite = numel - nonfinite
    need(low < high if finite else math.isnan(low) and math.isnan(high), "a histogram has no range")
    counts, exponents = numbers[:BINS], numbers[BINS : BINS + len(EXPONENTS)]
    formats = numbers[BINS + len(EXPONENTS) :].reshape(len(FORMATS), 3)
    need(int(numbers.min()) >= 0 and int(numbers.max()) <= max(finite, 0), "a histogram has a count out of range")
    need(int(counts.sum()) in (0, finite), "a histogram does not count every element")
    need(int(exponents.sum()) + zeros == finite, "the exponents of a histogram do not count every element")
    need(bool((formats.sum(axis=1) <= finite - zeros).all()), "a format loses more than there is")
    return Histogram(kind, tensor, dtype, numel, zeros, nonfinite, low, high, counts, exponents, formats)


def _units(of: Any, samples: Any, active: NDArray[np.uint32], saturated: NDArray[np.uint32]) -> UnitActivity:
    need(of in get_args(UnitsOf) and _is_count(samples, 2**32 - 1), "its units are of nothing that there is")
    most = max(int(active.max(initial=0)), int(saturated.max(initial=0)))
    need(most <= samples, f"a unit has a count outside of its {samples} samples")
    return UnitActivity(of, samples, active.astype(np.uint32, copy=False), saturated.astype(np.uint32, copy=False))


def _picture(picture: Any) -> list[Any]:
    (found,) = _rows([picture], 5, 1)
    kind, tensor, caption, rows, columns = found
    need(kind in get_args(PictureKind) and _is_text(tensor) and _is_text(caption), "its picture is of nothing")
    need(_is_count(rows, MAX_PICTURE) and _is_count(columns, MAX_PICTURE), "its picture is too large")
    return found


def _rows(rows: Any, width: int, most: int) -> list[list[Any]]:
    need(isinstance(rows, list) and len(rows) <= most, f"a part of it is no list of at most {most} rows")
    need(all(type(row) is list and len(row) == width for row in rows), f"a part of it has not {width} values")
    return cast("list[list[Any]]", rows)


def _time(value: Any) -> float:
    time = _number(value)
    need(not time < 0, "it took less than no time")
    return time


def _number(value: Any) -> float:
    need(value is None or (type(value) is float and math.isfinite(value)), "it has a number that is none")
    return math.nan if value is None else cast("float", value)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _is_count(value: Any, most: int = MAX_STEP) -> bool:
    return type(value) is int and 0 <= value <= most
