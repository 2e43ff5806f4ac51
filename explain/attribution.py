"""What an explanation consists of, whatever method made it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain.attribution_file import MAGIC, restored, stored
from deepseek.explain.part import part_of
from deepseek.explain.saved import explained, read, write
from deepseek.showing import viewer
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd
    import shap
    from matplotlib.figure import Figure

    from deepseek.showing import ExplanationWidget

Array = NDArray[np.float64]
Arrays = dict[str, Array]


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """How much each feature of each row moved an output away from its expectation over the background.

    Shapes: ``B`` rows; ``K`` outputs, an axis that is missing where one output a row was explained.

    Attributes:
        values_by_input: By name of the input: its attributions, in the shape of the input ``[B, ...]``, or ``[B, G]``
            for ``G`` groups of features; with a last axis ``K``.
        data_by_input: By name of the input, what was explained, ``[B, ...]``; the means ``[B, G]`` where groups span
            several inputs.
        base_values: Expectation of the output over the background, ``[B]`` or ``[B, K]``.
        outputs: The output for each row, of the same shape.
        method: Name of the method, such as ``exact``.
        target: Which outputs, in words.
        background: What stood for absent features, in words.
        std_error_by_input: Standard error of every value, shaped as the values; None where values are exact.
        groups: Number of the group of every element, in the shape of a row, or of all rows where these differ; -1 for
            those that are always present; None for single features.
        evaluations: Rows that the model computed.
        seconds: Time that it took.
        feature_names: Names of the features of the (only) input, or of the groups; empty without.
        shown: What each feature was in each row, in words; empty where the numbers say it.
        output_names: Names of the outputs; empty without.
        notes: What a reader must know before trusting the values.
    """

    values_by_input: Arrays
    data_by_input: Arrays
    base_values: Array
    outputs: Array
    method: str
    target: str
    background: str
    std_error_by_input: Arrays | None = None
    groups: Array | None = None
    evaluations: int = 0
    seconds: float = 0.0
    feature_names: tuple[str, ...] = ()
    shown: tuple[tuple[str, ...], ...] = ()
    output_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> Any:
        """The attributions of the only input, or the dictionary of all."""
        return _only(self.values_by_input)

    @property
    def data(self) -> Any:
        """What was explained: the only input, or the dictionary of all."""
        return _only(self.data_by_input)

    @property
    def std_error(self) -> Any:
        """Standard errors of the values, shaped as they are; None where values are exact."""
        return None if self.std_error_by_input is None else _only(self.std_error_by_input)

    @property
    def completeness_gap(self) -> Array:
        """What the values do not account for: output - base value - sum of the values, ``[B]`` or ``[B, K]``."""
        return self.outputs - self.base_values - self.total

    @property
    def total(self) -> Array:
        """Sum of the values over all features, ``[B]`` or ``[B, K]``."""
        flat = [
            values.reshape(len(values), -1, *self.base_values.shape[1:]).sum(axis=1)
            for values in self.values_by_input.values()
        ]
        total: Array = np.sum(flat, axis=0)
        return total

    @property
    def relative_gap(self) -> float:
        """Largest gap, relative to how far outputs are from their base values."""
        reach = np.abs(self.outputs - self.base_values).max(initial=0)
        gap = np.abs(self.completeness_gap).max(initial=0)
        return float(gap / reach) if reach > 0 else float(gap)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in self.values_by_input.items())
        return printable(f"<Attribution by {self.method} of {self.target}: {shapes}>")

    def __str__(self) -> str:
        errors = self.std_error_by_input
        lines = [
            f"Attribution of {self.target} by {self.method}, against {self.background}",
            *(f"  {name}: values of shape {values.shape}" for name, values in self.values_by_input.items()),
            f"  completeness gap at most {np.abs(self.completeness_gap).max(initial=0):.2g} "
            f"({self.relative_gap:.2g} of the output's distance from its base value)",
            "  values are exact"
            if errors is None
            else f"  standard error at most {max(np.abs(e).max(initial=0) for e in errors.values()):.2g}",
            f"  {self.evaluations:,} evaluations in {self.seconds:.2g} s",
            *(f"  Note: {note}" for note in self.notes),
        ]
        return printable("\n".join(lines))

    @property
    def feature_data(self) -> Array:
        """What has one attribution each: the input, or its means over the groups, ``[B, ...]`` or ``[B, G]``.

        Raises:
            DeepseekError: There are several inputs.
        """
        if len(self.values_by_input) != 1:
            raise DeepseekError(
                f"This works for one input, and these are {', '.join(self.values_by_input)}: use `values_by_input`."
            )
        data: Array = next(iter(self.data_by_input.values()))
        if self.groups is None:
            return data
        members = np.broadcast_to(self.groups, data.shape).reshape(len(data), -1).astype(int) + 1
        count = int(members.max()) + 1
        rows = list(zip(members, data.reshape(len(data), -1), strict=True))
        sums = np.stack([np.bincount(member, row, count)[1:] for member, row in rows])
        sizes = np.stack([np.bincount(member, minlength=count)[1:] for member, _ in rows])
        return np.asarray(sums / np.maximum(sizes, 1))

    def named(self, features: Sequence[str] = (), outputs: Sequence[str] = ()) -> "Attribution":
        """Return the same with names for the features or groups, and for the outputs.

        Raises:
            DeepseekError: There are not as many.
        """
        values = next(iter(self.values_by_input.values()))
        counts = (values.shape[1], self.base_values.shape[1] if self.base_values.ndim == 2 else 1)
        for what, names, count in zip(("features", "outputs"), (features, outputs), counts, strict=True):
            if len(names) not in (0, count):
                raise DeepseekError(f"`{what}` must be {count} names, not {len(names)}.")
        return replace(
            self,
            feature_names=tuple(map(str, features)) or self.feature_names,
            output_names=tuple(map(str, outputs)) or self.output_names,
        )

    def plot(self, row: int = 0, *, output: int = 0, name: str | None = None) -> "Figure":
        """Draw what moved an output: over a picture ``[H, W]`` or ``[C, H, W]``, over words, or as bars with intervals.

        Args:
            row: Which row.
            output: Which output, where several were explained.
            name: Which input; the first one by default.

        Raises:
            DeepseekError: There is no such part, or no picture for its shape.
        """
        from deepseek.explain.plotting import plotted

        return plotted(part_of(self, row, output, name))

    def frame(self, row: int = 0, *, output: int = 0, name: str | None = None) -> "pd.DataFrame":
        """Return what moved an output as a table: what ``plot`` draws, for each feature of a row.

        Args:
            row: Which row.
            output: Which output, where several were explained.
            name: Which input; the first one by default.

        Returns:
            The columns ``feature``, ``attribution`` and, where values are estimated, ``std_error``.

        Raises:
            DeepseekError: There is no such part.
        """
        import pandas as pd

        part = part_of(self, row, output, name)
        columns = {"feature": part.labels, "attribution": part.values.reshape(-1)}
        if part.errors is not None:
            columns["std_error"] = part.errors.reshape(-1)
        return pd.DataFrame(columns)

    def widget(self) -> "ExplanationWidget":
        """Return the interactive view: pick row, output and input, with how far to trust the values always in sight.

        It holds all that it shows (3.5 MB of numbers at most, it says what was left out) and needs no Jupyter kernel.

        Raises:
            DeepseekError: There are too many features to be shown.
        """
        return viewer().explanation_widget(self)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained HTML file with the same view; it opens offline.

        Returns:
            The path, made absolute.

        Raises:
            DeepseekError: There are too many features to be shown, or the file cannot be written.
        """
        return viewer().explanation_report(self, path)

    def to_shap(self) -> "shap.Explanation":
        """Return a ``shap.Explanation``, so that every ``shap.plots.*`` works.

        Raises:
            DeepseekError: There are several inputs, or shap is not installed.
        """
        try:
            import shap
        except ImportError as error:
            raise DeepseekError("`to_shap` needs shap: pip install shap") from error
        data, words = self.feature_data, self._words()
        return shap.Explanation(
            values=self.values,
            base_values=self.base_values,
            data=data if words is None or self.feature_names else words,
            display_data=words,
            feature_names=list(self.feature_names) or None,
            output_names=list(self.output_names) or None,
            compute_time=self.seconds,
            error_std=self.std_error,
        )

    def _words(self) -> "NDArray[np.object_] | None":
        """What each feature was, in words, ``[B, G]``."""
        if not self.shown:
            return None
        count = max(map(len, self.shown))
        return np.array([[*row, *[""] * (count - len(row))] for row in self.shown], object)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a file that holds numbers and plain text only.

        Returns:
            The path, made absolute.

        Raises:
            DeepseekError: The file cannot be written.
        """
        return write(path, MAGIC, *stored(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Attribution":
        """Read a file that ``save`` has written; nothing in it is ever run.

        Raises:
            DeepseekError: The file is missing, foreign, damaged or too large.
        """
        with explained(path, "Attribution.save"):
            return cls(**restored(*read(path, MAGIC)))


def _only(arrays: Mapping[str, Array]) -> Any:
    return next(iter(arrays.values())) if len(arrays) == 1 else dict(arrays)
