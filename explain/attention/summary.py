"""The table of attention heads."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.one_map import AttentionMap

if TYPE_CHECKING:
    import pandas as pd

Numbers = NDArray[np.float64]


def summary(maps: AttentionMaps) -> "pd.DataFrame":
    """Return a row for each head; see ``AttentionMaps.summary``."""
    import pandas as pd

    return pd.DataFrame([row for each in maps for row in _rows(maps, each)])


def _rows(maps: AttentionMaps, each: AttentionMap) -> list[dict[str, Any]]:
    """Return what each head of a map does on average."""
    weights = each.weights.astype(np.float64)
    own = each.kind != "cross"
    away = np.abs(_places(each)[:, None] - np.arange(weights.shape[-1]))
    special = maps.seen(each).special
    bits = -(weights * np.log2(weights, out=np.zeros_like(weights), where=weights > 0)).sum(-1)
    columns = {
        "entropy_bits": bits,
        "distance": (weights * away).sum(-1) if own else None,
        "self_frac": (weights * (away == 0)).sum(-1) if own else None,
        "first_frac": weights[..., 0],
        "special_frac": None if special is None else (weights * special[:, None, None]).sum(-1),
    }
    means = {name: _mean(maps, each, values) for name, values in columns.items()}
    return [
        {"name": each.name, "kind": each.kind, "head": head} | {name: values[place] for name, values in means.items()}
        for place, head in enumerate(each.heads)
    ]


def _places(each: AttentionMap) -> NDArray[np.int64]:
    """Return the place of each query among the keys: the last query is the last key."""
    places: NDArray[np.int64] = np.array(each.queries, np.int64) + (each.weights.shape[-1] - each.tokens)
    return places


def _mean(maps: AttentionMaps, each: AttentionMap, values: Numbers | None) -> Numbers:
    """Average ``[B, H, T]`` over rows and over the queries that are no padding, ``[H]``."""
    if values is None:
        return np.full(len(each.heads), np.nan)
    counts = looks(maps, each).astype(float)[:, None]
    total: Numbers = (values * counts).sum((0, 2)) / max(counts.sum(), 1.0)
    return total


def looks(maps: AttentionMaps, each: AttentionMap) -> NDArray[np.bool_]:
    """Return which queries of a map are no padding, ``[B, T]``."""
    real = maps.looking(each).real
    rows, _, queries, _ = each.weights.shape
    return np.ones((rows, queries), bool) if real is None else real[:, list(each.queries)]
