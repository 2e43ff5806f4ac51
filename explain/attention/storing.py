"""Files of attention maps."""

import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.naming import Kind
from deepseek.explain.attention.one_map import AttentionMap
from deepseek.explain.attention.tokens import Tokens
from deepseek.explain.saved import explained, read, write

MAGIC = b"deepseek-attention-1\n"
"""What a file begins with."""


def save(maps: AttentionMaps, path: str | os.PathLike[str]) -> Path:
    """Write maps; see ``AttentionMaps.save``."""
    arrays: dict[str, NDArray[Any]] = {}
    for place, each in enumerate(maps):
        arrays |= {f"weights/{place}": each.weights, f"value_norms/{place}": each.value_norms}
    about = {
        "maps": [{name: getattr(each, name) for name in _PLAIN} for each in maps],
        "model": maps.model,
        "source": _flat(maps.source),
        "decoder": None if maps.decoder is None else _flat(maps.decoder),
        "complete": maps.complete,
        "notes": maps.notes,
    }
    return write(path, MAGIC, about, arrays, number="<f4")


def load(path: str | os.PathLike[str]) -> AttentionMaps:
    """Read maps; see ``AttentionMaps.load``."""
    with explained(path, "AttentionMaps.save"):
        about, arrays = read(path, MAGIC, number="<f4")
        return AttentionMaps(
            maps=tuple(_map(each, place, arrays) for place, each in enumerate(about["maps"])),
            model=str(about["model"]),
            source=_tokens(about["source"]),
            decoder=None if about["decoder"] is None else _tokens(about["decoder"]),
            complete=bool(about["complete"]),
            notes=tuple(map(str, about["notes"])),
        )


_PLAIN = ("name", "kind", "heads", "queries", "tokens", "deviation")


def _map(plain: dict[str, Any], place: int, arrays: dict[str, NDArray[Any]]) -> AttentionMap:
    """Put a map together, and check that its parts fit each other."""
    weights, norms = arrays[f"weights/{place}"], arrays[f"value_norms/{place}"]
    heads, queries = tuple(map(int, plain["heads"])), tuple(map(int, plain["queries"]))
    tokens = int(plain["tokens"])
    if weights.ndim != 4 or weights.shape[1:3] != (len(heads), len(queries)) or plain["kind"] not in get_args(Kind):
        raise ValueError("its weights do not fit its heads and queries")
    if norms.shape != (weights.shape[0], weights.shape[1], weights.shape[3]) or not weights.size:
        raise ValueError("its values do not fit its weights")
    if min(heads) < 0 or not 0 <= min(queries) <= max(queries) < tokens:
        raise ValueError("its heads or queries are none")
    return AttentionMap(
        str(plain["name"]), plain["kind"], weights, norms, heads, queries, tokens, float(plain["deviation"])
    )


def _flat(tokens: Tokens) -> dict[str, Any]:
    flags = {name: getattr(tokens, name) for name in ("special", "real")}
    return {"texts": tokens.texts} | {name: None if each is None else each.tolist() for name, each in flags.items()}


def _tokens(plain: dict[str, Any]) -> Tokens:
    texts = tuple(tuple(map(str, row)) for row in plain["texts"])
    special, real = (None if plain[name] is None else np.array(plain[name], bool) for name in ("special", "real"))
    shapes = {each.shape for each in (special, real) if each is not None} | {(len(texts), len(row)) for row in texts}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        raise ValueError("its tokens do not fit each other")
    return Tokens(texts, special, real)
