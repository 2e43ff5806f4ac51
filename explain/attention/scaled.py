"""Calls of ``torch.nn.functional.scaled_dot_product_attention``."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from deepseek.explain.attention.by_head import Separate, chosen_of, four_dimensional, normalised, wide

_NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")


class Scaled(Separate):
    """The weights are computed again from what the function was called with, for the heads and queries asked for.

    Args:
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        output: What it returned.
        rows: Number of rows that the model was called with.
        module: The module that called it.
    """

    def __init__(self, args: Any, kwargs: Any, output: Tensor, rows: int, module: nn.Module | None) -> None:
        given = dict(zip(_NAMES, args, strict=False)) | kwargs
        packed = _is_packed(given["query"], given["key"], module)

        def heads_apart(tensor: Tensor) -> Tensor:
            four = four_dimensional(tensor, rows)
            return four.flatten(1, 2)[:, :, None] if packed else four

        self._query = heads_apart(given["query"])
        heads = self._query.shape[1]
        self._key = _repeated(four_dimensional(given["key"], rows), heads)
        self._mask = _mask(given, packed, rows)
        scale = given.get("scale")
        self._scale = 1 / math.sqrt(self._query.shape[-1]) if scale is None else scale
        self._causal = bool(given.get("is_causal"))
        values = _repeated(four_dimensional(given["value"], rows), heads)
        super().__init__(self._weights, values, output, heads_apart)

    def _weights(self, heads: Tensor, queries: Tensor) -> Tensor:
        query = chosen_of(chosen_of(self._query, 1, heads), 2, queries)
        scores = query.to(wide(query)) @ chosen_of(self._key, 1, heads).to(wide(query)).mT * self._scale
        if self._mask is not None:
            mask = self._mask if self._mask.shape[1] == 1 else chosen_of(self._mask, 1, heads)
            mask = mask if mask.shape[2] == 1 else chosen_of(mask, 2, queries)
            scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        if self._causal:
            later = torch.arange(self.shape[3], device=scores.device) > queries[:, None]
            scores = scores.masked_fill(later, -torch.inf)
        return normalised(scores)


def _is_packed(query: Tensor, key: Tensor, module: nn.Module | None) -> bool:
    """Whether the queries of a group of heads lie where time does, as transformers packs a decoding step."""
    groups = getattr(module, "num_key_value_groups", 1)
    heads = getattr(getattr(module, "config", None), "num_attention_heads", None)
    return groups > 1 and query.dim() == 4 and query.shape[1] == key.shape[1] and query.shape[1] * groups == heads


def _repeated(tensor: Tensor, heads: int) -> Tensor:
    """Give each of the query's heads the key or value of its group."""
    return tensor if tensor.shape[1] == heads else tensor.repeat_interleave(heads // tensor.shape[1], 1)


def _mask(given: Any, packed: bool, rows: int) -> Tensor | None:
    """Return the mask, ``[N or 1, H or 1, T or 1, S]``."""
    mask = given.get("attn_mask")
    if mask is None:
        return None
    if mask.dim() < 4:
        aligned = mask.dim() == 3 and len(mask) == len(given["query"]) and given["query"].dim() == 3
        return four_dimensional(mask, rows) if aligned else mask.reshape((1,) * (4 - mask.dim()) + mask.shape)
    mask = four_dimensional(mask, rows)
    return mask.flatten(1, 2)[:, :, None] if packed and mask.shape[1] > 1 else mask
