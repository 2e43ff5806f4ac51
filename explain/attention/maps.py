"""Attention maps: where each token looks, by layer and head."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

from deepseek.errors import DeepseekError
from deepseek.explain.attention.naming import Kind
from deepseek.explain.attention.one_map import AttentionMap
from deepseek.explain.attention.selection import LIMIT_BYTES
from deepseek.explain.attention.tokens import UNKNOWN, Tokens
from deepseek.explain.call import Call
from deepseek.showing import viewer
from deepseek.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from deepseek.explain.attention.scores import TokenScores
    from deepseek.explain.target import Target
    from deepseek.showing import ExplanationWidget

ORDERS = 20
"""Random orders that a derived map is compared with."""


@dataclass(frozen=True, eq=False, repr=False)
class AttentionMaps(Sequence[AttentionMap]):
    """The attention maps of one forward pass, in the order of the calls. They say where a model looks, not why.

    Attributes:
        maps: The maps; also by position, by name and by iteration.
        model: Class of the model.
        source: The tokens of the inputs.
        decoder: The tokens of a decoder that has inputs of its own; None without.
        complete: Whether these are all calls with all their heads and queries.
        notes: What a reader must know before trusting the maps.
        call: What the model was called with; None when read from a file.
        limit_bytes: Most memory that maps may take, also those that ``relevance`` makes anew.
        scores: Derived maps that are shown with them, such as ``rollout`` returns.
    """

    maps: tuple[AttentionMap, ...]
    model: str
    source: Tokens = UNKNOWN
    decoder: Tokens | None = None
    complete: bool = True
    notes: tuple[str, ...] = ()
    call: Call | None = None
    limit_bytes: int = LIMIT_BYTES
    scores: "tuple[TokenScores, ...]" = ()

    @property
    def names(self) -> list[str]:
        """The names of the maps."""
        return [each.name for each in self.maps]

    def __len__(self) -> int:
        return len(self.maps)

    def __iter__(self) -> Iterator[AttentionMap]:
        return iter(self.maps)

    @overload
    def __getitem__(self, key: int | str) -> AttentionMap: ...
    @overload
    def __getitem__(self, key: slice) -> "AttentionMaps": ...
    def __getitem__(self, key: int | str | slice) -> "AttentionMap | AttentionMaps":
        if isinstance(key, slice):
            return self._only(self.maps[key])
        if isinstance(key, str):
            found = [each for each in self.maps if each.name == key]
            if not found:
                raise DeepseekError(
                    printable(f"No attention map is called {key!r}; there are {', '.join(self.names)}.")
                )
            return found[0]
        if not -len(self) <= key < len(self):
            raise IndexError(f"There are {len(self)} attention maps, none at {key}.")
        return self.maps[key]

    def of_kind(self, kind: Kind) -> "AttentionMaps":
        """Return the maps of one kind only: ``self``, ``decoder`` or ``cross``."""
        return self._only([each for each in self.maps if each.kind == kind])

    def labelled(self, texts: Sequence[Sequence[str]], *, special: Sequence[str] | None = None) -> "AttentionMaps":
        """Return the same maps with a text for each token of each row.

        Args:
            texts: The texts, ``[B][S]``, such as a tokenizer's ``convert_ids_to_tokens`` gives.
            special: Which texts are those of special tokens.

        Raises:
            DeepseekError: They are not as many as the rows and tokens.
        """
        source = self.source.with_texts(texts, special)
        rows = {len(each.weights) for each in self.maps}
        if len(source.texts) not in rows or not any(source.fits(each.weights.shape[-1]) for each in self.maps):
            shapes = sorted({(len(each.weights), each.weights.shape[-1]) for each in self.maps})
            raise DeepseekError(
                f"`texts` must be [rows][tokens] with {' or '.join(map(str, shapes))}, not "
                f"({len(source.texts)}, {len(source.texts[0]) if source.texts else 0})."
            )
        return replace(self, source=source)

    def looking(self, each: AttentionMap) -> Tokens:
        """Return the tokens that look in a map; nothing is known of them where they are not those of the inputs."""
        own = self.decoder if each.kind != "self" and self.decoder else self.source
        foreign = each.kind == "cross" and not self.decoder
        return UNKNOWN if foreign or not own.fits(each.tokens) else own

    def seen(self, each: AttentionMap) -> Tokens:
        """Return the tokens that are looked at in a map."""
        own = self.decoder if each.kind == "decoder" and self.decoder else self.source
        return own if own.fits(each.weights.shape[-1]) else UNKNOWN

    def __repr__(self) -> str:
        kinds = ", ".join(sorted({each.kind for each in self.maps}))
        heads = sum(len(each.heads) for each in self.maps)
        return printable(
            f"<AttentionMaps of {self.model}: {len(self)} calls ({kinds}), {heads} heads; where it looks, not why>"
        )

    def __str__(self) -> str:
        worst = max((each.deviation for each in self.maps), default=0.0)
        lines = [
            f"Where {self.model} looks, which is not why it decides: {len(self)} attention calls",
            *(f"  {each.name} ({each.kind}): {' × '.join(map(str, each.weights.shape))}" for each in self.maps),
            f"  weights x values equals what each call returned, to {worst:.1g} of its largest number",
            *(f"  {each}" for each in self.scores),
            *(f"  Note: {note}" for note in self.notes),
        ]
        return printable("\n".join(lines))

    def summary(self) -> "pd.DataFrame":
        """Return a table with a row for each head.

        Columns: ``name``, ``kind``, ``head``; ``entropy_bits`` of a query's weights; ``distance``, how many tokens away
        a query looks (NaN between sequences); ``self_frac`` of the weights on the query itself (NaN between sequences);
        ``first_frac`` on the first token; ``special_frac`` on special tokens (NaN where it is not known which these
        are). Means over the rows and over the queries that are no padding.
        """
        from deepseek.explain.attention.summary import summary

        return summary(self)

    def plot(self, row: int = 0, *, at: int | str | None = None, head: int | None = None) -> "Figure":
        """Draw where the tokens of a row look: all calls and heads as a grid, or one head with its tokens.

        Args:
            row: Which row.
            at: Which map, by position or name; the last one if only a head is given.
            head: Which of its heads; the first one kept if only a map is given.

        Raises:
            DeepseekError: There is no such row, map or head.
        """
        from deepseek.explain.attention.picture import grid, one_head

        if at is None and head is None:
            return grid(self, row)
        each = self[-1 if at is None else at]
        return one_head(self, each, each.heads[0] if head is None else head, row)

    def widget(self, *, scores: "Sequence[TokenScores]" = ()) -> "ExplanationWidget":
        """Return the interactive view: a grid of all heads, one head in detail, and what one token looks at.

        It holds all that it shows (3.5 million weights at most, it says what was left out), and needs no Jupyter
        kernel.

        Args:
            scores: Derived maps that it shows too, such as ``[maps.rollout()]``, with how faithful they are.

        Raises:
            DeepseekError: One row alone has more weights: select layers, heads or tokens.
        """
        return viewer().explanation_widget(self._with(scores))

    def average(self, at: int | str = -1, *, target: "Target" = None, orders: int = ORDERS) -> "TokenScores":
        """Return how much each token is looked at in one map, as the mean over its heads and queries.

        Args:
            at: Which map, by position or name.
            target: What its faithfulness is measured by; see ``rollout``.
            orders: In how many random orders tokens are deleted, to compare with.
        """
        from deepseek.explain.attention.rollout import average

        return average(self, self[at], self[at].weights, "average attention", target, orders)

    def value_weighted(self, at: int | str = -1, *, target: "Target" = None, orders: int = ORDERS) -> "TokenScores":
        """Return the same as ``average``, with weights that count by the length of the value that is looked at."""
        from deepseek.explain.attention.rollout import average

        return average(self, self[at], self[at].value_weighted, "value-weighted attention", target, orders)

    def rollout(self, *, target: "Target" = None, orders: int = ORDERS) -> "TokenScores":
        """Follow attention through all layers: how much of each input token is in each token of the last layer.

        Args:
            target: Which outputs its faithfulness is measured by, as for ``deepseek.explain.shap``: how far they move
                when the highest-ranked tokens are deleted.
            orders: In how many random orders tokens are deleted, to compare with.

        Raises:
            DeepseekError: The maps are a selection, or not of one sequence of tokens.

        Source: Abnar & Zuidema, Quantifying Attention Flow in Transformers, ACL 2020, section 3.
        """
        from deepseek.explain.attention.rollout import rollout

        return rollout(self, target, orders)

    def relevance(self, target: "Target" = None, *, orders: int = ORDERS) -> "TokenScores":
        """Follow attention through all layers, each head counting as far as more of it raises the target.

        Args:
            target: One number a row, as for ``deepseek.explain.shap``.
            orders: In how many random orders tokens are deleted, to compare with.

        Raises:
            DeepseekError: The maps were read from a file, the target is not one number a row, or the tokens are not
                of one sequence.

        Source: Chefer, Gur & Wolf, Generic Attention-model Explainability for Interpreting Bi-Modal and
        Encoder-Decoder Transformers, ICCV 2021, equations 5 and 6.
        """
        from deepseek.explain.attention.relevance import relevance

        return relevance(self, target, orders)

    def report(self, path: str | os.PathLike[str], *, scores: "Sequence[TokenScores]" = ()) -> Path:
        """Write one self-contained HTML file with the same view; it opens offline, and is read without scripts too.

        Args:
            path: Where to write.
            scores: Derived maps that the page shows too, such as ``[maps.rollout()]``, with how faithful they are.

        Returns:
            The path, made absolute.

        Raises:
            DeepseekError: The file cannot be written, or one row alone has too many weights.
        """
        return viewer().explanation_report(self._with(scores), path)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a file that holds numbers and plain text only; the model is not in it.

        Returns:
            The path, made absolute.

        Raises:
            DeepseekError: The file cannot be written.
        """
        from deepseek.explain.attention.storing import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "AttentionMaps":
        """Read a file that ``save`` has written; nothing in it is ever run.

        Raises:
            DeepseekError: The file is missing, foreign or damaged.
        """
        from deepseek.explain.attention.storing import load

        return load(path)

    def _with(self, scores: "Sequence[TokenScores]") -> "AttentionMaps":
        rows = {len(each.weights) for each in self.maps}
        if any({len(each.values)} != rows for each in scores):
            raise DeepseekError(f"`scores` must be of the rows that the maps are of, {max(rows, default=0)}.")
        return replace(self, scores=(*self.scores, *scores))

    def _only(self, maps: Iterable[AttentionMap]) -> "AttentionMaps":
        return replace(self, maps=tuple(maps))
