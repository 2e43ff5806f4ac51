"""Two runs, or two steps of one, side by side: which layer differs first, and by how much at which depth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from deepseek.errors import DeepseekError
from deepseek.inspector.aligning import Side, align, align_scalars, by_depth, read_side
from deepseek.inspector.record import TENSOR_KINDS, TensorKind
from deepseek.inspector.recording import Recording
from deepseek.inspector.run import Viewer, open_run
from deepseek.inspector.verdict import notes, verdict
from deepseek.kernels.summary.columns import COLUMNS
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-6
"""Above what another order of summation changes in float32, below what a change on purpose does."""

NEAREST_OUTPUT: frozenset[TensorKind] = frozenset({"activation_gradient", "gradient", "applied_gradient"})
"""Kinds that flow from the output to the input: there a difference begins nearest the output."""

Source = Recording | str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs first differ.

    Attributes:
        site: Name of the module or parameter.
        type: Class name of the module, or of the one that owns the parameter.
        call: How many-th use of the site within the step, from 0.
        step: Number of the step.
        a: Value in A; NaN where only its tensor holds NaN or infinities.
        b: Value in B.
        difference: Their relative difference; infinite where only one of them is a number.
    """

    site: str
    type: str
    call: int
    step: int
    a: float
    b: float
    difference: float


class Comparison:
    """What ``deepseek.compare`` found; ``str()`` says it in a sentence, a notebook shows a picture of it.

    Attributes:
        a: What was read of A.
        b: What was read of B.
        kind: The compared kind of tensors.
        column: The compared column of their summaries.
        tolerance: Relative differences above this one count.
        of_steps: The two steps that are compared, or None when the runs are.
        first_divergence: The earliest difference above the tolerance, and of one step the one nearest the input (for
            gradients: nearest the output); None without any.
        first_difference: The same for differences of any size.
        history: Every row that both observed: ``step, depth, a, b, difference``, by step and depth.
        scalar_history: Every value that both logged: ``step, name, a, b, difference``, by step.
        only_a: Sites observed in A alone.
        only_b: Sites observed in B alone.
    """

    def __init__(
        self,
        a: Side,
        b: Side,
        kind: TensorKind,
        column: str,
        tolerance: float,
        of_steps: tuple[int, int] | None = None,
        viewer: Viewer | None = None,
    ) -> None:
        self.a, self.b, self.kind, self.column, self.tolerance, self.of_steps = a, b, kind, column, tolerance, of_steps
        self._viewer = viewer
        self._sites = self._common_sites()
        pairs = align(a, b, column)
        self.first_divergence = self._find_first(pairs, tolerance)
        self.first_difference = self._find_first(pairs, 0)
        self.history = pairs.merge(self._sites, on=["site", "call"]).sort_values(["step", "depth"], ignore_index=True)
        self.scalar_history = align_scalars(a, b)
        self.only_a = _only(a.rows, b.rows)
        self.only_b = _only(b.rows, a.rows)

    def __str__(self) -> str:
        return printable(" ".join([verdict(self), *notes(self)]))

    def __repr__(self) -> str:
        return f"<Comparison: {self}>"

    @property
    def steps(self) -> list[int]:
        """Steps in which both observed the compared kind, in order."""
        return sorted(self.history["step"].unique().tolist())

    @property
    def diverged(self) -> bool:
        """Whether any site differs by more than the tolerance in any common step."""
        return self.first_divergence is not None

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """One row per common site, from the input to the output.

        ``depth, site, call, type``; the values ``a`` and ``b`` and their relative ``difference`` at ``step``, the last
        one that both observed; ``first_step``: the first step in which they differ by more than the tolerance.
        """
        table = _newest_and_first(self._sites, self.history, ["site", "call"], self.tolerance)
        types = [printable(self.a.sites[site].type) for site in table["site"]]
        table.insert(3, "type", types)
        return table.assign(site=table["site"].map(printable))

    @cached_property
    def scalars(self) -> "pd.DataFrame":
        """One row per scalar that both logged, the loss first: ``name, step, a, b, difference, first_step``."""
        names = self.scalar_history[["name"]].drop_duplicates()
        names = names.sort_values("name", key=lambda name: name != "loss", kind="stable", ignore_index=True)
        table = _newest_and_first(names, self.scalar_history, ["name"], self.tolerance)
        return table.assign(name=table["name"].map(printable))

    def report(self, path: str | Path) -> Path:
        """Write one self-contained HTML file with pictures and tables; it opens offline.

        Returns:
            The path of the file.

        Raises:
            DeepseekError: The file cannot be written.
        """
        if self._viewer is None:
            raise DeepseekError("This comparison has no views. Make it through deepseek.compare.")
        return self._viewer.compared_report(self, path)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/plain": str(self)} if self._viewer is None else self._viewer.compared_bundle(self)

    def _common_sites(self) -> "pd.DataFrame":
        """``depth, site, call`` of what both observed at any step."""
        common = by_depth(self.a.rows).merge(self.b.rows[["site", "call"]].drop_duplicates(), on=["site", "call"])
        common.insert(0, "depth", range(len(common)))
        return common

    def _find_first(self, pairs: "pd.DataFrame", tolerance: float) -> Divergence | None:
        over = pairs[pairs["difference"] > tolerance]
        if over.empty:
            return None
        earliest = over[over["step"] == over["step"].min()]
        place = earliest["place"]
        row = earliest.loc[place.idxmax() if self.kind in NEAREST_OUTPUT else place.idxmin()]
        numbers = (float(row[name]) for name in ("a", "b", "difference"))
        kind = printable(self.a.sites[row["site"]].type)
        return Divergence(printable(row["site"]), kind, int(row["call"]), int(row["step"]), *numbers)


def compare(
    a: Source,
    b: Source,
    *,
    kind: str = "activation",
    column: str = "rms",
    tolerance: float = TOLERANCE,
    steps: tuple[int, int] | None = None,
    viewer: Viewer | None = None,
) -> Comparison:
    """Compare two runs: which layer differs first, and by how much at which depth.

    Rows are aligned by step, site and call; only steps that both runs observed count. The relative difference of two
    values is their distance over the larger of the two, for ``mean, std, min, max`` over the size of the tensor, for
    shares it is the distance itself. Sites that hold nothing but rounding errors are measured by the median site.

    Args:
        a: A session, an opened run, or the path of a run file.
        b: The other one; with ``steps`` it may be the same.
        kind: Which tensors: ``activation``, ``activation_gradient``, ``gradient``, ``parameter``, ``update`` ...
        column: Which number of their summaries. The root mean square does not depend on the size of a batch.
        tolerance: Relative differences above this one count; 0 asks for equality to the last bit.
        steps: Compare step ``steps[0]`` of ``a`` with step ``steps[1]`` of ``b`` instead of all common steps.
        viewer: Supplies the picture and the report.

    Raises:
        DeepseekError: An argument does not fit, or nothing of that kind was recorded.
    """
    checked = _checked_kind(kind)
    _check(column, tolerance, steps)
    sides = [_read(source, checked, column) for source in (a, b)]
    for label, side in zip("AB", sides, strict=True):
        _check_side(label, side, checked)
    if steps is not None:
        sides = [_at(label, side, step, steps[0]) for label, side, step in zip("AB", sides, steps, strict=True)]
    return Comparison(sides[0], sides[1], checked, column, tolerance, steps, viewer)


def _newest_and_first(
    keys: "pd.DataFrame", history: "pd.DataFrame", names: list[str], tolerance: float
) -> "pd.DataFrame":
    """Add to each key its newest values and the first step in which they differ by more than the tolerance."""
    newest = history.drop_duplicates(names, keep="last")[[*names, "step", "a", "b", "difference"]]
    over = history[history["difference"] > tolerance].drop_duplicates(names)
    first = over[[*names, "step"]].rename(columns={"step": "first_step"})
    table = keys.merge(newest, on=names, how="left").merge(first, on=names, how="left")
    return table.astype({"step": "Int64", "first_step": "Int64"})


def _only(rows: "pd.DataFrame", others: "pd.DataFrame") -> list[str]:
    known = set(zip(others["site"], others["call"], strict=True))
    found = by_depth(rows)
    return [
        printable(site) + (f" (call {call})" if call else "")
        for site, call in zip(found["site"], found["call"], strict=True)
        if (site, call) not in known
    ]


def _read(source: Any, kind: TensorKind, column: str) -> Side:
    if isinstance(source, str | PathLike):
        with open_run(Path(source)) as run:
            return read_side(run, kind, column)
    if not hasattr(source, "records"):
        raise DeepseekError(
            f"Expected two runs to compare, got a {type(source).__name__}: pass sessions, runs that deepseek.open_run "
            "returned, or paths of run files."
        )
    return read_side(source, kind, column)


def _at(label: str, side: Side, step: int, shown_as: int) -> Side:
    observed = side.observed
    if step not in observed:
        near = ", ".join(map(str, sorted(sorted(observed, key=lambda known: abs(known - step))[:4])))
        raise DeepseekError(f"{label} did not observe step {step}. Observed near it: {near}.")
    return side.at(step, shown_as)


def _checked_kind(kind: Any) -> TensorKind:
    if kind not in TENSOR_KINDS:
        raise DeepseekError(
            f"`kind` must be one of {', '.join(TENSOR_KINDS)}, not {kind!r}. Logged scalars are always compared."
        )
    return cast("TensorKind", kind)


def _check(column: Any, tolerance: Any, steps: Any) -> None:
    if column not in COLUMNS:
        raise DeepseekError(f"`column` must be one of {', '.join(COLUMNS)}, not {column!r}.")
    if not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf:
        raise DeepseekError(f"`tolerance` is a relative difference from 0 (0.01 = 1 %), not {tolerance!r}.")
    if steps is not None and not _are_two_numbers(steps):
        raise DeepseekError(f"`steps` takes the numbers of two steps, such as (0, 100), not {steps!r}.")


def _are_two_numbers(steps: Any) -> bool:
    return isinstance(steps, Sequence) and len(steps) == 2 and all(isinstance(step, Integral) for step in steps)


def _check_side(label: str, side: Side, kind: TensorKind) -> None:
    if kind in side.kinds:
        return
    what = f"{label} ({printable(side.title)}) recorded no {kind}"
    if not side.kinds:
        raise DeepseekError(f"{what}: it holds no observed step yet. Train at least one step under deepseek.inspect.")
    raise DeepseekError(f"{what}. It holds {', '.join(sorted(side.kinds))}: compare one of these with kind=...")
