"""What is stored of an attribution, and how it is put together again."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from deepseek.explain.attribution import Attribution

Arrays = dict[str, NDArray[np.float64]]

MAGIC = b"deepseek-attribution-1\n"
"""What a file begins with."""

_PLAIN = (
    "method",
    "target",
    "background",
    "evaluations",
    "seconds",
    "feature_names",
    "shown",
    "output_names",
    "notes",
)


def stored(attribution: "Attribution") -> tuple[dict[str, Any], Arrays]:
    """Return what a file holds: everything that is no array, and the arrays by name."""
    arrays = {"base_values": attribution.base_values, "outputs": attribution.outputs}
    if attribution.groups is not None:
        arrays["groups"] = attribution.groups
    names = list(attribution.values_by_input)
    for place, name in enumerate(names):
        arrays[f"values/{place}"] = attribution.values_by_input[name]
        arrays[f"data/{place}"] = attribution.data_by_input[name]
        if attribution.std_error_by_input is not None:
            arrays[f"std_error/{place}"] = attribution.std_error_by_input[name]
    about = {name: getattr(attribution, name) for name in _PLAIN} | {"inputs": names}
    return about, arrays


def restored(about: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return the fields of an attribution from what a file holds, once they fit each other.

    Raises:
        ValueError: They do not; a field that is missing or of another kind raises what reading it raises.
    """
    names = [str(name) for name in about["inputs"]]
    parts = {
        kind: {name: arrays[f"{kind}/{place}"] for place, name in enumerate(names)}
        for kind in ("values", "data", "std_error")
        if kind != "std_error" or "std_error/0" in arrays
    }
    base, outputs = arrays["base_values"], arrays["outputs"]
    if not names or base.shape != outputs.shape or base.ndim not in (1, 2):
        raise ValueError("its outputs do not fit its base values")
    for values in (*parts["values"].values(), *parts.get("std_error", {}).values()):
        if values.ndim < 2 or len(values) != len(base) or (base.ndim == 2 and values.shape[-1] != base.shape[1]):
            raise ValueError("its values do not fit its outputs")
    groups = arrays.get("groups")
    if groups is not None and not _is_grouping(groups, parts["values"], parts["data"]):
        raise ValueError("its groups do not fit its values")
    seconds = float(about["seconds"])
    if not math.isfinite(seconds):
        raise ValueError("its time is not a number")
    return {
        "values_by_input": parts["values"],
        "data_by_input": parts["data"],
        "base_values": base,
        "outputs": outputs,
        "method": str(about["method"]),
        "target": str(about["target"]),
        "background": str(about["background"]),
        "std_error_by_input": parts.get("std_error"),
        "groups": groups,
        "evaluations": int(about["evaluations"]),
        "seconds": seconds,
        "feature_names": tuple(map(str, about["feature_names"])),
        "shown": _shown(about.get("shown", ()), parts["values"]),
        "output_names": tuple(map(str, about["output_names"])),
        "notes": tuple(map(str, about["notes"])),
    }


def _is_grouping(groups: NDArray[np.float64], values: Arrays, data: Arrays) -> bool:
    """Whether these are numbers of groups that the values of the only input stand for, each of them with a member."""
    (value,), (row,) = values.values(), data.values()
    return groups.shape in (row.shape[1:], row.shape) and set(np.unique(groups)) - {-1.0} == set(range(value.shape[1]))


def _shown(rows: Sequence[Sequence[str]], values: Arrays) -> tuple[tuple[str, ...], ...]:
    shown = tuple(tuple(map(str, row)) for row in rows)
    most = next(iter(values.values())).shape
    if shown and (len(shown) != most[0] or not all(1 <= len(row) <= most[1] for row in shown)):
        raise ValueError("its words do not fit its values")
    return shown
