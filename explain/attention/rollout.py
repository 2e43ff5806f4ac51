"""Maps that are derived from attention weights alone."""

import numpy as np

from deepseek.errors import DeepseekError
from deepseek.explain.attention.deletion import deletion
from deepseek.explain.attention.erasing import patches
from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.one_map import AttentionMap, Weights
from deepseek.explain.attention.scores import Faithfulness, Numbers, TokenScores
from deepseek.explain.attention.summary import looks
from deepseek.explain.attention.tokens import UNKNOWN
from deepseek.explain.call import Call
from deepseek.explain.target import Target


def average(
    maps: AttentionMaps, each: AttentionMap, weights: Weights, method: str, target: Target, orders: int
) -> TokenScores:
    """Return the mean of a map over its heads; see ``AttentionMaps.average``."""
    matrix = weights.mean(1, dtype=np.float64)
    of_inputs = not (each.kind == "decoder" and maps.decoder)
    return scored(maps, each, matrix, f"{method} in {each.name}", target, orders, of_inputs=of_inputs)


def rollout(maps: AttentionMaps, target: Target, orders: int) -> TokenScores:
    """Multiply the maps of all layers, half of each token staying where it is; see ``AttentionMaps.rollout``."""
    check_chain(maps, "Rollout")
    count = maps[0].weights.shape[-1]
    matrix = np.eye(count)[None]
    for each in maps:
        mixed = each.weights.mean(1, dtype=np.float64) + np.eye(count)
        matrix = mixed / mixed.sum(-1, keepdims=True) @ matrix
    return scored(maps, maps[-1], matrix, "attention rollout", target, orders)


def check_chain(maps: AttentionMaps, method: str) -> None:
    """Raise an error unless the maps are whole, and those of one sequence."""
    if not maps.complete:
        raise DeepseekError(f"{method} needs all layers, heads and tokens: make the maps without choosing any.")
    if any(each.kind == "cross" for each in maps):
        raise DeepseekError(
            f"{method} follows one sequence of tokens, and these maps have cross attention: take one kind only, such "
            'as `maps.of_kind("self")`, or use `relevance`.'
        )
    if not maps or len({each.weights.shape[::2] + each.weights.shape[3:] for each in maps}) != 1:
        raise DeepseekError(
            f"{method} needs maps of the same rows and tokens in every layer, not of shapes "
            f"{', '.join(sorted({str(each.weights.shape) for each in maps})) or 'none'}."
        )
    if maps[0].weights.shape[2] != maps[0].weights.shape[3]:
        raise DeepseekError(f"{method} needs as many queries as keys: run the model without a cache.")


def scored(
    maps: AttentionMaps,
    each: AttentionMap,
    matrix: Numbers,
    method: str,
    target: Target,
    orders: int,
    *,
    of_inputs: bool = True,
) -> TokenScores:
    """Average ``[B, T, S]`` over the queries that are no padding, and measure how faithful that is.

    Args:
        maps: Where it comes from.
        each: The map whose queries and keys these are.
        matrix: The scores for each query.
        method: Its name.
        target: What is measured.
        orders: Number of random orders.
        of_inputs: Whether the keys are tokens of the inputs.
    """
    counts = looks(maps, each).astype(float)[..., None]
    values = (matrix * counts).sum(1) / np.maximum(counts.sum(1), 1)
    return measured(maps, values, matrix, method, target, orders, of_inputs=of_inputs)


def measured(
    maps: AttentionMaps,
    values: Numbers,
    matrix: Numbers,
    method: str,
    target: Target,
    orders: int,
    *,
    of_inputs: bool = True,
) -> TokenScores:
    """Put scores together with how faithful they are; see ``scored``."""
    call, count = maps.call, values.shape[1]
    own = maps.source if of_inputs else maps.decoder or UNKNOWN
    tokens = own if own.fits(count) else UNKNOWN
    faithfulness, note = (
        _measure(maps, values, target, orders) if of_inputs else (None, "they are no tokens of the inputs")
    )
    if call is None or len(values) != call.rows or not of_inputs or not (found := _patches(call, count)):
        return TokenScores(values, matrix, method, tokens, faithfulness, note)
    pictures = call.tensors[found[0]].detach().float().cpu().numpy()
    return TokenScores(values, matrix, method, tokens, faithfulness, note, pictures, found[1])


def _measure(maps: AttentionMaps, values: Numbers, target: Target, orders: int) -> tuple[Faithfulness | None, str]:
    """Return how faithful scores ``[B, S]`` are; where that cannot be measured, None and why."""
    if maps.call is None:
        return None, "the maps were read from a file, without the model"
    if len(values) != maps.call.rows:
        return None, "the rows of these maps are not those of the inputs"
    try:
        return deletion(maps.call, values, maps.source, target, orders), ""
    except DeepseekError as error:
        return None, str(error)


def _patches(call: Call, count: int) -> tuple[str, tuple[int, int]] | None:
    try:
        return patches(call, count)
    except DeepseekError:  # inputs that are not explained at all
        return None
