"""A page of attention maps in one file, without scripts: a click enlarges a map by the style sheet alone."""

import base64
import io
import os
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.one_map import AttentionMap
from deepseek.explain.attention.picture import check_row, counted, short
from deepseek.explain.attention.scores import TokenScores
from deepseek.explain.attention.style import STYLE
from deepseek.explain.attention.tokens import Tokens
from deepseek.explain.saved import put

_CELL = 12
"""Pixels of a weight in an enlarged map."""

_MARGIN = 120
"""Pixels for the texts of tokens beside it."""

_SHADES = 9
_STRONGEST = 8

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'sha256-$digest'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width"><title>$title</title><style>$style</style></head><body>
<h1>$title</h1>
<p>Where the model looks, which is not why it decides. $facts</p>$notes
$scores
<h2 id="all">All heads</h2>
<p>Lines: attention calls; within a map, lines are tokens that look and columns those that are looked at. The brighter,
the more, on a square-root scale up to $most. A click enlarges a map and names its tokens and strongest weights.</p>
<svg class="texts" aria-hidden="true">$symbols</svg>
<table class="grid">$grid</table>
<details><summary>Table of all heads</summary>$table</details>
</body></html>
""")


def report(maps: AttentionMaps, path: str | os.PathLike[str], row: int, scores: Sequence[TokenScores]) -> Path:
    """Write the page; see ``AttentionMaps.report``."""
    return put(path, page(maps, row, scores).encode())


def page(maps: AttentionMaps, row: int, scores: Sequence[TokenScores] = ()) -> str:
    """Return the text of the page."""
    check_row(maps, row)
    most = max(float(each.weights[row].max()) for each in maps) or 1.0
    symbols = _Symbols()
    heads = max((each.heads for each in maps), key=len)
    above = "".join(f'<th scope="col">{head}</th>' for head in heads)
    grid = f"<tr><th>head</th>{above}</tr>" + "".join(
        _line(maps, each, place, row, most, symbols) for place, each in enumerate(maps)
    )
    worst = max(each.deviation for each in maps)
    return _PAGE.substitute(
        digest=base64.b64encode(sha256(STYLE.encode()).digest()).decode(),
        title=_text(f"Where {maps.model} looks, row {row}"),
        style=STYLE,
        facts=f"Weights × values equals what each call returned, to {worst:.1g} of its largest number.",
        notes="".join(f"<p>Note: {_text(note, 300)}</p>" for note in maps.notes),
        scores="".join(_scores(each, row) for each in scores),
        most=f"{most:.2g}",
        symbols=str(symbols),
        grid=grid,
        table=_table(maps),
    )


class _Symbols:
    """Texts of tokens, written once and shown beside every map that has them."""

    def __init__(self) -> None:
        self._ids: dict[tuple[tuple[str, ...], bool], str] = {}

    def __str__(self) -> str:
        return "".join(self._symbol(texts, down, name) for (texts, down), name in self._ids.items())

    def use(self, texts: tuple[str, ...], *, down: bool) -> str:
        """Return the picture of the texts, below each other or upright beside each other."""
        name = self._ids.setdefault((texts, down), f"t{len(self._ids)}")
        width, height = _MARGIN, len(texts) * _CELL
        size = f'width="{width}" height="{height}"' if down else f'width="{height}" height="{width}"'
        return f'<svg {size} aria-hidden="true" class="{"down" if down else "across"}"><use href="#{name}"/></svg>'

    @staticmethod
    def _symbol(texts: tuple[str, ...], down: bool, name: str) -> str:
        parts = []
        for place, text in enumerate(texts):
            middle = place * _CELL + _CELL - 3
            turn = (
                f'x="{_MARGIN - 4}" y="{middle}"'
                if down
                else f'transform="translate({middle} {_MARGIN - 4}) rotate(-90)"'
            )
            parts.append(f"<text {turn}>{_text(text, 18)}</text>")
        return f'<g id="{name}" class="{"end" if down else "start"}">{"".join(parts)}</g>'


def _line(maps: AttentionMaps, each: AttentionMap, place: int, row: int, most: float, symbols: _Symbols) -> str:
    """Return the line of the grid that shows a map's heads."""
    looking, seen = maps.looking(each), maps.seen(each)
    queries = tuple(looking.label(row, query) for query in each.queries)
    keys = tuple(seen.label(row, key) for key in range(each.weights.shape[-1]))
    left, top = symbols.use(queries, down=True), symbols.use(keys, down=False)
    cells = []
    for head, weights in zip(each.heads, each.weights[row], strict=True):
        links = _strongest(weights, queries, keys)
        name = f"Head {head} of {_text(each.name, 200)} ({each.kind})"
        url, size = _png(weights / most), f'width="{weights.shape[1] * _CELL}" height="{weights.shape[0] * _CELL}"'
        strongest = "; ".join(f"{query} looks at {key}: {weight}" for query, key, weight in links[:1])
        rows = "".join(f"<tr><td>{query}</td><td>{key}</td><td>{weight}</td></tr>" for query, key, weight in links)
        cells.append(
            f'<td><figure id="m{place}h{head}"><a class="close" href="#all">Close</a><h3>{name}</h3>'
            f'<div class="map">{top}{left}<a href="#m{place}h{head}">'
            f'<img {size} src="{url}" alt="{name}. Strongest: {strongest}"></a></div>'
            "<table><caption>Strongest weights</caption><tr><th>looks</th><th>at</th><th>weight</th></tr>"
            f"{rows}</table></figure></td>"
        )
    return f'<tr><th scope="row">{_text(each.name, 60)}<br>{each.kind}</th>{"".join(cells)}</tr>'


def _strongest(
    weights: NDArray[np.float32], queries: tuple[str, ...], keys: tuple[str, ...]
) -> list[tuple[str, str, str]]:
    order = np.argsort(-weights, axis=None, kind="stable")[:_STRONGEST]
    places = zip(*np.unravel_index(order, weights.shape), strict=True)
    return [(_text(queries[t], 40), _text(keys[s], 40), f"{weights[t, s]:.3f}") for t, s in places]


def _png(weights: NDArray[np.float32]) -> str:
    """Return weights of 0 to 1 as the address of a picture, a pixel each."""
    from matplotlib import colormaps

    image = Image.fromarray(np.round(np.sqrt(weights) * 63).astype(np.uint8), "P")
    image.putpalette((colormaps["viridis"](np.linspace(0, 1, 64))[:, :3] * 255).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _scores(each: TokenScores, row: int) -> str:
    head = f"<h2>Where it looks, by {_text(each.method, 200)}</h2><p>{_text(each.verdict, 400)}</p>"
    if each.pictures is not None:
        buffer = io.BytesIO()
        each.plot(row).savefig(buffer, format="png", dpi=80)
        url = base64.b64encode(buffer.getvalue()).decode()
        return (
            f'{head}<img src="data:image/png;base64,{url}" alt="The picture, and its patches colored by their scores">'
        )
    return f'{head}<p class="tokens">{_spans(each.values[row], each.tokens, row)}</p>'


def _spans(values: NDArray[np.float64], tokens: Tokens, row: int) -> str:
    most = float(values[counted(tokens, row, len(values))].max()) or 1.0
    shades = np.clip(np.round(values / most * _SHADES), 0, _SHADES).astype(int)
    return " ".join(
        f'<span class="s{shade}" title="{value:.3g}">{_text(tokens.label(row, place), 40)}</span>'
        for place, (value, shade) in enumerate(zip(values, shades, strict=True))
    )


def _table(maps: AttentionMaps) -> str:
    table = maps.summary()
    head = "".join(f"<th>{_text(str(column))}</th>" for column in table.columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{f'{x:.3f}' if isinstance(x, float) else _text(str(x), 200)}</td>" for x in line)
        + "</tr>"
        for line in table.itertuples(index=False)
    )
    return f'<table class="all"><tr>{head}</tr>{body}</table>'


def _text(text: str, most: int = 120) -> str:
    """Return foreign text as it may stand in markup."""
    return escape(short(text, most))
