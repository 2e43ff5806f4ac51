"""A closer look at a layer as a message."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.detail import BINS, EXPONENTS, FORMATS, Detail, Picture
from deepseek.widgets.message_types import Detail as DetailMessage
from deepseek.widgets.message_types import HistogramInfo, PictureInfo
from deepseek.widgets.messages import Packet, finite, long_text, name_text, packet

_MOST = 2**31 - 1
"""Larger counts are shown as this."""


def detail_packet(detail: Detail) -> Packet:
    """Return the look as a message, without the binary exponents beyond the range of its values."""
    exponents = _stacked([found.exponents for found in detail.histograms], len(EXPONENTS))
    used = np.flatnonzero(exponents.any(axis=0))
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
    units, picture = detail.units, detail.picture
    message: DetailMessage = {
        "type": "detail",
        "site": name_text(detail.site),
        "layer_type": name_text(detail.type),
        "step": max(int(detail.step), 0),
        "watched": detail.watched,
        "calls": int(detail.calls),
        "note": long_text(detail.note),
        "forward_ms": finite(detail.forward_ms),
        "backward_ms": finite(detail.backward_ms),
        "output_bytes": int(detail.output_bytes),
        "parameter_bytes": int(detail.parameter_bytes),
        "gradient_bytes": int(detail.gradient_bytes),
        "histograms": _infos(detail),
        "first_exponent": EXPONENTS[first],
        "units": None if units is None else {"of": units.of, "samples": int(units.samples)},
        "picture": None if picture is None else _picture_info(picture),
        "arrays": [],
    }
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int32]] = {
        "counts": _stacked([found.counts for found in detail.histograms], BINS),
        "exponents": np.ascontiguousarray(exponents[:, first : last + 1]),
        "formats": _stacked([found.formats.ravel() for found in detail.histograms], 3 * len(FORMATS)),
    }
    if units is not None:
        arrays["units"] = _stacked([units.active, units.saturated], len(units.active))
    if picture is not None:
        arrays["picture"] = picture.values
    return packet(message, arrays)


def _infos(detail: Detail) -> list[HistogramInfo]:
    return [
        {
            "kind": found.kind,
            "tensor": name_text(found.tensor),
            "dtype": name_text(found.dtype),
            "numel": int(found.numel),
            "zeros": int(found.zeros),
            "nonfinite": int(found.nonfinite),
            "low": finite(found.low),
            "high": finite(found.high),
        }
        for found in detail.histograms
    ]


def _picture_info(picture: Picture) -> PictureInfo:
    return {"kind": picture.kind, "tensor": name_text(picture.tensor), "caption": long_text(picture.caption)}


def _stacked(rows: Sequence[NDArray[Any]], columns: int) -> NDArray[np.int32]:
    return np.minimum(np.array(rows, np.int64).reshape(len(rows), columns), _MOST).astype(np.int32)
