"""Attention maps as a message: weights as bytes on a square-root scale, exact to 0.004 of the largest or better."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepseek.errors import DeepseekError
from deepseek.explain import AttentionMap, AttentionMaps, TokenScores
from deepseek.explain.attention.erasing import patches
from deepseek.explain.attention.picture import counted
from deepseek.explain.attention.tokens import Tokens
from deepseek.widgets.explaining.packing import LIMIT_BYTES, MOST_NOTES, Arrays, Packed, pack
from deepseek.widgets.explanation_types import MapInfo, Patches, ScoresInfo
from deepseek.widgets.messages import long_text, name_text
from deepseek.widgets.static_picture import cut

TOKEN_LENGTH = 60


def attention_message(maps: AttentionMaps, first: int = 0, limit_bytes: int = LIMIT_BYTES) -> Packed:
    """Return maps as a message: of as many rows as fit, which is then said in a note.

    Args:
        maps: What is sent.
        first: What the first row is called.
        limit_bytes: Most weights that are sent.

    Raises:
        DeepseekError: Not even one row fits.
    """
    total = min(len(each.weights) for each in maps)
    rows = _fitting(maps, total, limit_bytes)
    most = max(float(each.weights[:rows].max()) for each in maps) or 1.0
    sequences = _Sequences(rows)
    found, pictures = _pictures(maps, rows)
    infos = [_info(maps, each, sequences, found) for each in maps]
    scores = [_scores_info(each, sequences, found) for each in maps.scores]
    arrays: Arrays = {
        f"weights/{place}": _bytes(each.weights[:rows] / most).reshape(-1, each.weights.shape[-1])
        for place, each in enumerate(maps)
    }
    for place, each in enumerate(maps.scores):
        arrays |= {f"scores/{place}": each.values[:rows], f"largest/{place}": _largest(each, rows)}
    notes = [long_text(note) for note in maps.notes[:MOST_NOTES]]
    if rows < total:
        notes.append(f"Shown are the first {rows} of {total} rows: all would be more than {limit_bytes / 1e6} MB.")
    message = {
        "type": "attention",
        "model": name_text(maps.model),
        "first": first,
        "rows": rows,
        "most": most,
        "deviation": max(each.deviation for each in maps),
        "maps": infos,
        "scores": scores,
        "sequences": [{"texts": texts} for texts in sequences.texts],
        "height": 0 if pictures is None else pictures.shape[1],
        "width": 0 if pictures is None else pictures.shape[2],
        "notes": notes,
    }
    if pictures is not None:
        arrays["pictures"] = pictures.reshape(rows, -1)
    return pack(message, arrays)


class _Sequences:
    """The texts of tokens, each kind written once."""

    def __init__(self, rows: int) -> None:
        self.texts: list[list[list[str]]] = []
        self._known: list[Tokens] = []
        self._rows = rows

    def place(self, tokens: Tokens) -> int:
        """Return where the texts of these tokens are; -1 where none are known."""
        if not tokens.texts:
            return -1
        if tokens not in self._known:
            self._known.append(tokens)
            self.texts.append(
                [[cut(name_text(text), TOKEN_LENGTH) for text in row] for row in tokens.texts[: self._rows]]
            )
        return self._known.index(tokens)


def _info(maps: AttentionMaps, each: AttentionMap, sequences: _Sequences, found: Patches | None) -> MapInfo:
    keys = each.weights.shape[-1]
    of_patches = found is not None and each.kind == "self" and keys - found["rows"] * found["columns"] in range(6)
    return {
        "name": name_text(each.name),
        "kind": each.kind,
        "heads": list(each.heads),
        "queries": list(each.queries),
        "looking": sequences.place(maps.looking(each)),
        "seen": sequences.place(maps.seen(each)),
        "patches": found if of_patches else None,
    }


def _scores_info(scores: TokenScores, sequences: _Sequences, found: Patches | None) -> ScoresInfo:
    down, across = scores.grid
    return {
        "method": name_text(scores.method),
        "verdict": long_text(scores.verdict),
        "tokens": sequences.place(scores.tokens),
        "patches": {"rows": down, "columns": across} if found and scores.pictures is not None else None,
    }


def _largest(scores: TokenScores, rows: int) -> NDArray[np.float64]:
    """By row the largest score of a token that counts, ``[B, 1]``."""
    largest = [own[counted(scores.tokens, row, len(own))].max() for row, own in enumerate(scores.values[:rows])]
    return np.array(largest)[:, None]


def _pictures(maps: AttentionMaps, rows: int) -> tuple[Patches | None, NDArray[np.uint8] | None]:
    """Return the pictures ``[B, H, W]`` whose patches the tokens are, in gray, and how many patches they have."""
    call = maps.call
    found = None if call is None or call.rows < rows else _patches(maps)
    if call is None or found is None:
        return None, None
    name, (down, across) = found
    data = call.tensors[name][:rows].detach().float().cpu().numpy()
    gray = data[:, :3].mean(1) if data.shape[1] >= 3 else data[:, 0]
    low, high = float(gray.min()), float(gray.max())
    return {"rows": down, "columns": across}, _whole(255 * (gray - low) / (high - low or 1.0))


def _patches(maps: AttentionMaps) -> tuple[str, tuple[int, int]] | None:
    counts: Sequence[int] = sorted({each.weights.shape[-1] for each in maps if each.kind == "self"})
    for count in counts:
        try:
            found = patches(maps.call, count) if maps.call is not None else None
        except DeepseekError:  # inputs that are not explained at all
            return None
        if found is not None:
            return found
    return None


def _bytes(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    return _whole(255 * np.sqrt(shares))


def _whole(numbers: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.round(numbers).astype(np.uint8)


def _fitting(maps: AttentionMaps, rows: int, limit_bytes: int) -> int:
    per_row = sum(int(each.weights[0].size) for each in maps)
    if per_row > limit_bytes:
        raise DeepseekError(
            f"The maps of one row hold {per_row:,} weights, more than can be shown ({limit_bytes:,}): select some "
            "by `layers`, `heads` or `tokens`."
        )
    return min(rows, limit_bytes // per_row)
