"""One row of an attribution, and one output: what pictures and tables show."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.text import printable

if TYPE_CHECKING:
    from deepseek.explain.attribution import Attribution

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Part:
    """What moved one output of one row.

    Attributes:
        values: In the shape of a row of the input, or ``[G]`` for the groups that the row has.
        errors: Standard errors, shaped as the values; None where these are exact.
        data: The row of the input.
        groups: Number of the group of every element of the row; None for single features.
        names: What each feature is called, as many as values; empty where they have no names.
        shown: What each was, in words, as many as values; empty where the numbers say it.
        seen: What each was, as a number, shaped as the values.
        title: The output, and what was expected of it.
    """

    values: Numbers
    errors: Numbers | None
    data: Numbers
    groups: NDArray[np.intp] | None
    names: tuple[str, ...]
    shown: tuple[str, ...]
    seen: Numbers
    title: str

    @property
    def words(self) -> bool:
        """Whether the features are parts of a text, in its order."""
        return bool(self.shown) and not self.names

    @property
    def labels(self) -> list[str]:
        """What each feature is called, and what it was."""
        if self.words:
            return list(map(printable, self.shown))
        texts = self.shown or [f"{value:.3g}" for value in self.seen.reshape(-1)]
        names = self.names or [f"feature {', '.join(map(str, place))}" for place in np.ndindex(self.values.shape)]
        return [printable(f"{name} = {text}") for name, text in zip(names, texts, strict=True)]


def part_of(attribution: "Attribution", row: int, output: int, name: str | None) -> Part:
    """Take a part out of an attribution.

    Args:
        attribution: All rows and outputs.
        row: Which row.
        output: Which output, where there are several.
        name: Which input; the first one by default.

    Raises:
        DeepseekError: There is no such row, output or input.
    """
    name = next(iter(attribution.values_by_input)) if name is None else name
    _check(attribution, row, output, name)
    data, groups = attribution.data_by_input[name][row], _groups(attribution, row)
    values = _taken(attribution, attribution.values_by_input[name], row, output)
    errors = None
    if attribution.std_error_by_input is not None:
        errors = _taken(attribution, attribution.std_error_by_input[name], row, output)
    if groups is not None:
        count = int(groups.max()) + 1
        values, errors = values[:count], None if errors is None else errors[:count]
    shown = attribution.shown[row] if attribution.shown else ()
    return Part(
        values=values,
        errors=errors,
        data=data,
        groups=groups,
        names=attribution.feature_names if len(attribution.feature_names) == values.size else (),
        shown=shown if len(shown) == values.size else (),
        seen=data if groups is None else attribution.feature_data[row][: len(values)],
        title=f"{_output_name(attribution, output)}: {_share(attribution, row, output)}",
    )


def _check(attribution: "Attribution", row: int, output: int, name: str) -> None:
    if name not in attribution.values_by_input:
        raise DeepseekError(f"There is no input {name!r}: there are {', '.join(attribution.values_by_input)}.")
    outputs = attribution.base_values.shape[1] if attribution.base_values.ndim == 2 else 1
    if not 0 <= row < len(attribution.base_values) or not 0 <= output < outputs:
        raise DeepseekError(
            f"There are rows 0 to {len(attribution.base_values) - 1} and outputs 0 to {outputs - 1}, not row {row} of "
            f"output {output}."
        )


def _taken(attribution: "Attribution", arrays: Numbers, row: int, output: int) -> Numbers:
    part: Numbers = arrays[row]
    return part[..., output] if attribution.base_values.ndim == 2 else part


def _groups(attribution: "Attribution", row: int) -> NDArray[np.intp] | None:
    if attribution.groups is None:
        return None
    (data,) = attribution.data_by_input.values()
    return np.asarray(np.broadcast_to(attribution.groups, data.shape)[row], np.intp)


def _output_name(attribution: "Attribution", output: int) -> str:
    if attribution.output_names:
        return attribution.output_names[output]
    return f"output {output}" if attribution.base_values.ndim == 2 else attribution.target


def _share(attribution: "Attribution", row: int, output: int) -> str:
    place = (row, output) if attribution.base_values.ndim == 2 else row
    base, value = float(attribution.base_values[place]), float(attribution.outputs[place])
    return f"{value:.3g}, expected over the background {base:.3g}"
