"""An attribution as a message."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain import Attribution
from deepseek.widgets.explaining.packing import LIMIT_BYTES, MOST_NOTES, Arrays, Packed, pack
from deepseek.widgets.explanation_types import InputInfo
from deepseek.widgets.messages import long_text, name_text

Numbers = NDArray[np.float64]


def attribution_message(attribution: Attribution, first: int = 0, limit_bytes: int = LIMIT_BYTES) -> Packed:
    """Return an attribution as a message: of as many rows and outputs as fit, which is then said in a note.

    Args:
        attribution: What is sent.
        first: What the first row is called.
        limit_bytes: Most numbers that are sent.

    Raises:
        DeepseekError: There are too many features for even one row and output.
    """
    parts = [_part(attribution, name) for name in attribution.values_by_input]
    named = {
        "base": attribution.base_values,
        "reached": attribution.outputs,
        "gap": attribution.completeness_gap,
    }
    total = named["base"].reshape(len(named["base"]), -1).shape
    rows, outputs = _fitting(parts, *total, limit_bytes)
    arrays: Arrays = {name: each.reshape(total)[:rows, :outputs] for name, each in named.items()}
    for place, part in enumerate(parts):
        arrays |= {f"{name}/{place}": array for name, array in part.arrays(rows, outputs).items()}
    notes = [long_text(note) for note in attribution.notes[:MOST_NOTES]]
    if (rows, outputs) != total:
        notes.append(
            f"Shown are the first {rows} of {total[0]} rows and {outputs} of {total[1]} outputs: all would be more "
            f"than {limit_bytes / 1e6} MB."
        )
    message = {
        "type": "attribution",
        "method": name_text(attribution.method),
        "target": name_text(attribution.target),
        "background": long_text(attribution.background),
        "first": first,
        "rows": rows,
        "outputs": _output_names(attribution, outputs),
        "inputs": [part.info(rows) for part in parts],
        "evaluations": int(attribution.evaluations),
        "seconds": float(attribution.seconds),
        "notes": notes,
    }
    return pack(message, arrays)


@dataclass(frozen=True, eq=False)
class _Part:
    """The attributions of one input.

    Attributes:
        name: Of the input.
        unit: What has them: ``feature``, ``group`` or ``pixel``.
        values: ``[B, K, F]``.
        errors: Their standard errors; None where they are exact.
        data: What was explained, ``[B, F]``; of a picture its pixels.
        size: Height and width of the picture; zeros without.
        cells: Which feature each pixel belongs to, ``[1 or B, pixels]``; None where each is one.
        features: Their names, if any.
        shown: By row what each was, in words; empty where the numbers say it.
    """

    name: str
    unit: Any
    values: Numbers
    errors: Numbers | None
    data: Numbers
    size: tuple[int, int] = (0, 0)
    cells: NDArray[np.int64] | None = None
    features: tuple[str, ...] = ()
    shown: tuple[tuple[str, ...], ...] = ()

    def info(self, rows: int) -> InputInfo:
        """Return what is said of so many rows in words."""
        return {
            "name": name_text(self.name),
            "unit": self.unit,
            "features": [name_text(each) for each in self.features],
            "shown": [[name_text(each) for each in row] for row in self.shown[:rows]],
            "height": self.size[0],
            "width": self.size[1],
        }

    def arrays(self, rows: int, outputs: int) -> Arrays:
        """Return the numbers of so many rows and outputs."""
        by_output = {"values": self.values, "errors": self.errors}
        arrays: Arrays = {
            name: each[:rows, :outputs].reshape(rows * outputs, -1)
            for name, each in by_output.items()
            if each is not None
        }
        arrays["data"] = self.data[:rows]
        return arrays if self.cells is None else arrays | {"cells": self.cells[:rows]}


def _part(attribution: Attribution, name: str) -> _Part:
    """Bring the attributions of one input into the form in which they are drawn."""
    found = attribution.std_error_by_input
    values = _by_output(attribution, attribution.values_by_input[name])
    errors = None if found is None else _by_output(attribution, found[name])
    data, groups = attribution.data_by_input[name], attribution.groups
    if data.ndim in (3, 4) and name != "groups":
        return _of_picture(attribution, name, values, errors)
    count = values[0, 0].size
    return _Part(
        name,
        "group" if groups is not None or name == "groups" else "feature",
        _flat(values),
        None if errors is None else _flat(errors),
        (data if groups is None else attribution.feature_data).reshape(len(data), -1),
        features=attribution.feature_names if len(attribution.feature_names) == count else (),
        shown=attribution.shown,
    )


def _of_picture(attribution: Attribution, name: str, values: Numbers, errors: Numbers | None) -> _Part:
    """Return attributions of pixels; where groups of pixels have them, which pixels these are."""
    data, groups = attribution.data_by_input[name], attribution.groups
    pixels = (data if data.ndim == 3 else data.mean(1)).reshape(len(data), -1)
    size = (data.shape[-2], data.shape[-1])
    if groups is None:
        layers = (*values.shape[:2], -1, size[0] * size[1])
        squares = None if errors is None else (errors.reshape(layers) ** 2).sum(2)
        spread = None if squares is None else np.sqrt(squares)  # as if the errors of channels were independent
        return _Part(name, "pixel", values.reshape(layers).sum(2), spread, pixels, size)
    members = groups.astype(int).reshape(len(data) if groups.shape == data.shape else 1, -1, size[0] * size[1])
    if not (members == members[:, :1]).all():
        raise DeepseekError(
            "Channels of a pixel that belong to different groups have no picture: show the values by `to_shap`."
        )
    names = attribution.feature_names if len(attribution.feature_names) == values.shape[2] else ()
    return _Part(name, "group", values, errors, pixels, size, members[:, 0], names)


def _by_output(attribution: Attribution, values: Numbers) -> Numbers:
    """Numbers ``[B, ...]`` or ``[B, ..., K]`` as ``[B, K, ...]``."""
    return np.moveaxis(values if attribution.base_values.ndim == 2 else values[..., None], -1, 1)


def _flat(values: Numbers) -> Numbers:
    return values.reshape(*values.shape[:2], -1)


def _output_names(attribution: Attribution, count: int) -> list[str]:
    if attribution.base_values.ndim == 1:
        return [name_text((*attribution.output_names, attribution.target)[0])]
    names = attribution.output_names or [f"output {place}" for place in range(count)]
    return [name_text(each) for each in names[:count]]


def _fitting(parts: list[_Part], rows: int, outputs: int, limit_bytes: int) -> tuple[int, int]:
    """Return how many rows and outputs can be sent."""
    per_output = sum(4 * part.values.shape[2] * (1 if part.errors is None else 2) for part in parts)
    per_row = sum(4 * part.data.shape[1] * (1 if part.cells is None else 2) for part in parts)
    shown = min(outputs, (limit_bytes - per_row) // per_output)
    if shown < 1:
        features = sum(part.values.shape[2] for part in parts)
        raise DeepseekError(
            f"{features:,} features of one row are more than can be shown ({limit_bytes / 1e6} MB): join them by "
            "`groups`, or use `plot`."
        )
    return min(rows, limit_bytes // (per_row + shown * per_output)), shown
