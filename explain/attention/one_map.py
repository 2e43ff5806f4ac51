"""Where the tokens look in one attention call."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepseek.explain.attention.naming import Kind
from deepseek.text import printable

Weights = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class AttentionMap:
    """Where the tokens look in one attention call.

    Shapes: ``B`` rows; ``H`` heads and ``T`` queries, those that were asked for; ``S`` keys.

    Attributes:
        name: Name of the module that made the call; ``#2`` follows at its second call, and so on.
        kind: ``self``, ``decoder`` (no token sees a later one) or ``cross`` (queries look at another sequence).
        weights: ``[B, H, T, S]``: how much each query looks at each key. A query's weights add up to 1; to 0 where it
            may not look anywhere; to less than 1 where the model has a sink beside the keys.
        value_norms: Length of the value vector of each key, ``[B, H, S]``.
        heads: Which heads these are.
        queries: Which tokens the queries are.
        tokens: How many tokens there are to look.
        deviation: Largest difference between weights x values and what the call returned, relative to the largest
            number it returned.
    """

    name: str
    kind: Kind
    weights: Weights
    value_norms: Weights
    heads: tuple[int, ...]
    queries: tuple[int, ...]
    tokens: int
    deviation: float

    @property
    def value_weighted(self) -> Weights:
        """Weights times the length of the value that is looked at, as shares of each query's sum, ``[B, H, T, S]``.

        A token that is looked at, but whose value is near zero, passes nothing on.

        Source: Kobayashi et al., Attention is Not Only a Weight: Analyzing Transformers with Vector Norms, EMNLP 2020,
        section 3, with a head's value vectors in place of their projections into the output.
        """
        lengths = self.weights * self.value_norms[:, :, None]
        total = lengths.sum(-1, keepdims=True)
        shares: Weights = np.divide(lengths, total, out=np.zeros_like(lengths), where=total > 0)
        return shares

    def __repr__(self) -> str:
        rows, heads, queries, keys = self.weights.shape
        return printable(
            f"<AttentionMap of {self.name} ({self.kind}): {rows} rows, {heads} heads, {queries} queries, {keys} keys>"
        )
