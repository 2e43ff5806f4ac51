"""Rows of two recordings, aligned by step, site and call, and how far their values are apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepseek.inspector.record import Frame, Site, TensorKind
from deepseek.inspector.recording import Recording
from deepseek.kernels.summary.columns import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]

OBSERVED_BACKWARD: frozenset[TensorKind] = frozenset({"activation_gradient", "gradient"})
"""Kinds whose rows are observed from the output to the input."""

NOISE = 1e-5
"""A site whose values are that much smaller than the usual ones of its step holds rounding errors, such as the
gradient of a bias before a normalisation: its difference is taken relative to the usual size (the median)."""

SIZES = {"mean": "rms", "std": "rms", "min": "absmax", "max": "absmax"}
"""Columns that may be near zero although the tensor is not: they are measured by the size of the tensor."""

SHARES = ("zero_frac", "positive_frac", "subnormal16_frac", "overflow16_frac")
"""Columns that are shares of all elements: their difference is absolute."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What is compared of one recording.

    Attributes:
        title: Class name of the model.
        name: Name of the run file, empty without one.
        steps: Numbers of the stored steps, in order.
        kinds: Kinds of tensors that were recorded.
        sites: The sites by name.
        rows: ``step, site, call, value, size, nonfinite, place``, one row per tensor of the compared kind. ``place``
            grows from the input to the output as far as the order of observation tells.
        scalars: ``step, name, value``.
    """

    title: str
    name: str
    steps: list[int]
    kinds: frozenset[TensorKind]
    sites: dict[str, Site]
    rows: "pd.DataFrame"
    scalars: "pd.DataFrame"

    @property
    def observed(self) -> list[int]:
        """Steps in which the compared kind was observed, in order."""
        return sorted(self.rows["step"].unique().tolist())

    def at(self, step: int, shown_as: int) -> "Side":
        """Return one step alone, under another number."""
        rows, scalars = (table[table["step"] == step].assign(step=shown_as) for table in (self.rows, self.scalars))
        return Side(self.title, self.name, [shown_as], self.kinds, self.sites, rows, scalars)


def read_side(recording: Recording, kind: TensorKind, column: str) -> Side:
    """Read one kind and column of a recording, and its scalars."""
    import pandas as pd

    steps: list[int] = []
    kinds: set[TensorKind] = set()
    frames: list[tuple[int, Frame]] = []
    scalars: list[tuple[int, str, float]] = []
    for record in recording.records():
        steps.append(record.step)
        kinds.update(found for found, frame in record.frames.items() if len(frame))
        if (frame := record.frames.get(kind)) is not None:
            frames.append((record.step, frame))
        scalars += [(record.step, name, value) for name, value in record.scalars.items()]
    sites = list(recording.sites)
    return Side(
        title=recording.title,
        name=Path(getattr(recording, "path", "")).name,
        steps=steps,
        kinds=frozenset(kinds),
        sites={site.name: site for site in sites},
        rows=_rows(frames, [site.name for site in sites], column, backward=kind in OBSERVED_BACKWARD),
        scalars=pd.DataFrame(scalars, columns=["step", "name", "value"]).astype({"step": np.int64, "value": float}),
    )


def align(a: Side, b: Side, column: str) -> "pd.DataFrame":
    """Join the rows that both sides observed.

    Returns:
        ``step, site, call, place, a, b, difference``, by step and place. A value is NaN where its tensor holds NaN or
        infinities and the other one does not.
    """
    pairs = a.rows.merge(b.rows, on=["step", "site", "call"], suffixes=("_a", "_b"))
    one_sided = (pairs["nonfinite_a"] > 0) != (pairs["nonfinite_b"] > 0)
    for side in ("a", "b") if column != "nonfinite_count" else ():
        pairs[f"value_{side}"] = pairs[f"value_{side}"].mask(one_sided & (pairs[f"nonfinite_{side}"] > 0))
    values = pairs["value_a"].to_numpy(), pairs["value_b"].to_numpy()
    pairs["difference"] = relative_difference(*values, _unit(pairs, column))
    pairs = pairs.rename(columns={"value_a": "a", "value_b": "b", "place_a": "place"})
    pairs = pairs[["step", "site", "call", "place", "a", "b", "difference"]]
    return pairs.sort_values(["step", "place"], kind="stable", ignore_index=True)


def align_scalars(a: Side, b: Side) -> "pd.DataFrame":
    """Join the scalars that both sides logged: ``step, name, a, b, difference``, by step."""
    tables = (side.scalars.rename(columns={"value": name}) for name, side in (("a", a), ("b", b)))
    pairs = next(tables).merge(next(tables), on=["step", "name"])
    first, second = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    pairs["difference"] = relative_difference(first, second, np.fmax(np.abs(first), np.abs(second)))
    return pairs.sort_values("step", kind="stable", ignore_index=True)


def by_depth(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Every ``site, call`` once, from the input to the output, as the fullest step tells."""
    import pandas as pd

    if rows.empty:
        return rows[["site", "call"]]
    fullest = rows[rows["step"] == rows["step"].value_counts(sort=False).idxmax()].sort_values("place")
    return pd.concat([fullest, rows])[["site", "call"]].drop_duplicates(ignore_index=True)


def relative_difference(a: Values, b: Values, unit: Values) -> Values:
    """Return ``|a - b| / unit``: 0 for equal values, two NaN included; infinite where only one is a number."""
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        gap = np.abs(a - b) / unit
    return np.where(equal, 0.0, np.where(np.isnan(gap), np.inf, gap))


def _unit(pairs: "pd.DataFrame", column: str) -> Values:
    """What the difference of each row is relative to."""
    size: Values = np.fmax(pairs["size_a"].abs().to_numpy(), pairs["size_b"].abs().to_numpy())
    if column in SHARES:
        return np.ones(len(pairs))
    if column == "nonfinite_count":
        return np.fmax(size, 1)
    usual = pairs.assign(size=np.where(size > 0, size, np.nan)).groupby("step")["size"].transform("median").to_numpy()
    return np.where(size < NOISE * usual, usual, size)


def _rows(frames: Iterable[tuple[int, Frame]], names: list[str], column: str, *, backward: bool) -> "pd.DataFrame":
    import pandas as pd

    lookup = np.array([*names, ""], dtype=object)
    wanted = [COLUMNS.index(name) for name in (column, SIZES.get(column, column), "nonfinite_count")]
    parts = [
        (np.full(len(frame), step), lookup[frame.site], frame.call, np.arange(len(frame)), frame.values[:, wanted])
        for step, frame in frames
    ]
    none = (np.empty(0, np.int64), lookup[:0], np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3)))
    step, site, call, place, values = (np.concatenate(column) for column in zip(none, *parts, strict=True))
    numbers = dict(zip(("value", "size", "nonfinite"), values.T, strict=True))
    table = pd.DataFrame(
        {"step": step, "site": site, "call": call.astype(np.int64), "place": -place if backward else place} | numbers
    )
    return table.drop_duplicates(["step", "site", "call"], ignore_index=True)
