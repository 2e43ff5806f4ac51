"""Pictures of attributions, for notebooks and papers."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.text import printable

if TYPE_CHECKING:
    from deepseek.explain.attribution import Attribution

MOST_BARS = 20
"""Features that a bar chart names; the others are one bar together."""

UP, DOWN = "#d1495b", "#2e6fbb"
"""Colors of what raised and what lowered the output."""


class Picture(Figure):
    """A figure that notebooks show although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=96)
        return buffer.getvalue()


def picture(attribution: "Attribution", row: int, output: int, name: str) -> Figure:
    """Draw one row's attributions to one output: as an image over the input where they have two dimensions, else bars.

    Args:
        attribution: What to draw.
        row: Which row.
        output: Which output, where there are several.
        name: Which input.

    Raises:
        DeepseekError: There is no such row, output or input.
    """
    values = _part(attribution, attribution.values_by_input, row, output, name)
    title = f"{_output_name(attribution, output)}: {_share(attribution, row, output)}"
    data, groups = attribution.data_by_input[name][row], attribution.groups
    if groups is not None and groups.ndim in (2, 3):
        return _image(_spread(values, groups), data, title)
    if values.ndim in (2, 3):
        return _image(values, data, title)
    if values.ndim != 1:
        raise DeepseekError(
            f"Attributions of shape {values.shape} have no picture: sum them over some dimensions, or join features by "
            "`groups`."
        )
    errors = attribution.std_error_by_input
    bars = None if errors is None else 1.96 * _part(attribution, errors, row, output, name)
    return _bars(values, bars, _labels(attribution, attribution.feature_data[row]), title)


def _part(
    attribution: "Attribution", arrays: dict[str, NDArray[np.float64]], row: int, output: int, name: str
) -> NDArray[np.float64]:
    if name not in arrays:
        raise DeepseekError(f"There is no input {name!r}: there are {', '.join(arrays)}.")
    outputs = attribution.base_values.shape[1] if attribution.base_values.ndim == 2 else 1
    if not 0 <= row < len(attribution.base_values) or not 0 <= output < outputs:
        raise DeepseekError(
            f"There are rows 0 to {len(attribution.base_values) - 1} and outputs 0 to {outputs - 1}, not row {row} of "
            f"output {output}."
        )
    part: NDArray[np.float64] = arrays[name][row]
    return part[..., output] if attribution.base_values.ndim == 2 else part


def _spread(values: NDArray[np.float64], groups: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of its group for every pixel ``[H, W]``; where channels belong to several groups, their sum."""
    spread: NDArray[np.float64] = np.append(values, 0.0)[groups.astype(int)]
    if groups.ndim == 2:
        return spread
    return np.asarray(spread[0] if (groups == groups[0]).all() else spread.sum(0))


def _output_name(attribution: "Attribution", output: int) -> str:
    if attribution.output_names:
        return attribution.output_names[output]
    return f"output {output}" if attribution.base_values.ndim == 2 else attribution.target


def _share(attribution: "Attribution", row: int, output: int) -> str:
    place = (row, output) if attribution.base_values.ndim == 2 else row
    base, value = float(attribution.base_values[place]), float(attribution.outputs[place])
    return f"{value:.3g}, expected over the background {base:.3g}"


def _labels(attribution: "Attribution", data: NDArray[Any]) -> list[str]:
    names = attribution.feature_names or tuple(f"feature {place}" for place in range(len(data)))
    return [f"{name} = {value:.3g}" for name, value in zip(names, data, strict=True)]


def _bars(values: NDArray[np.float64], errors: NDArray[np.float64] | None, labels: Sequence[str], title: str) -> Figure:

    order = np.argsort(-np.abs(values))
    shown, rest = order[:MOST_BARS], order[MOST_BARS:]
    lengths = [*values[shown], *([values[rest].sum()] if len(rest) else [])]
    names = [*(labels[place] for place in shown), *([f"{len(rest)} others together"] if len(rest) else [])]
    spread = None if errors is None else [*errors[shown], *([np.sqrt((errors[rest] ** 2).sum())] if len(rest) else [])]
    figure = Picture(figsize=(7, 1.2 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(names)), lengths, color=[UP if length > 0 else DOWN for length in lengths], xerr=spread)
    axes.set_yticks(range(len(names)), [_plain(name) for name in names], parse_math=False)
    axes.invert_yaxis()
    axes.axvline(0, color="0.4", linewidth=0.8)
    axes.set_xlabel("attribution, in units of the output" + ("" if spread is None else "; black lines: 95 % intervals"))
    axes.set_title(_plain(title), parse_math=False)
    return figure


def _image(values: NDArray[np.float64], data: NDArray[Any], title: str) -> Figure:
    figure = Picture(figsize=(7.5, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(_flat(data, np.mean), cmap="gray")
    left.set_title("input")
    heat = _flat(values, np.sum)
    limit = float(np.abs(heat).max()) or 1.0
    drawn = right.imshow(heat, cmap="RdBu_r", vmin=-limit, vmax=limit)
    right.set_title("attribution")
    figure.colorbar(drawn, ax=right, label="in units of the output: red raises, blue lowers")
    for axes in (left, right):
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle(_plain(title), parse_math=False)
    return figure


def _flat(image: NDArray[Any], join: Any) -> NDArray[Any]:
    """An image ``[C, H, W]`` as ``[H, W]``."""
    flat: NDArray[Any] = join(image, axis=0) if image.ndim == 3 else image
    return flat


def _plain(text: str) -> str:
    return printable(text if len(text) <= 80 else f"{text[:79]}…")
