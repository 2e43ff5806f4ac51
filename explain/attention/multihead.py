"""Calls of ``torch.nn.functional.multi_head_attention_forward``, which ``nn.MultiheadAttention`` makes."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from deepseek.explain.attention.by_head import Taken, deviation

_SIGNATURE = inspect.signature(functional.multi_head_attention_forward)


class MultiHead:
    """The function is called once more and asked for the weights of each head, of the queries wanted only.

    Its output has the heads mixed by the last projection, so weights x values are compared behind it.

    Args:
        function: ``torch.nn.functional.multi_head_attention_forward``.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        output: What it returned first, without the weights.
    """

    partial = False

    def __init__(self, function: Callable[..., Any], args: Any, kwargs: Any, output: Tensor) -> None:
        bound = _SIGNATURE.bind(*args, **kwargs)
        bound.apply_defaults()
        self._function = function
        self._given = bound.arguments
        self.output = output
        self.values = self._values()
        rows, heads, keys, _ = self.values.shape
        self.shape = (rows, heads, self._given["query"].shape[0], keys)

    @property
    def looks_at_itself(self) -> bool:
        """Whether queries and keys are of one sequence."""
        return self._given["query"] is self._given["key"]

    def take(self, heads: Tensor, queries: Tensor) -> Taken:
        """Return the weights of some heads and queries, checked against the output."""
        weights = self._weights(queries)
        made = (weights @ self.values).permute(2, 0, 1, 3).flatten(2)
        made = functional.linear(made, self._given["out_proj_weight"], self._given["out_proj_bias"])
        looks = (weights != 0).any(-1).all(1).T[..., None]
        return Taken(weights[:, heads], deviation(made, self._rows_first(self.output)[queries], looks))

    def split(self, gradient: Tensor) -> Tensor:
        """Return ``[N, H, T, D]``: the gradient of weights x values, of the output's gradient."""
        mixed: Tensor = self._rows_first(gradient) @ self._given["out_proj_weight"]
        apart: Tensor = mixed.unflatten(2, (self.shape[1], -1))
        return apart.permute(1, 2, 0, 3)

    def _weights(self, queries: Tensor) -> Tensor:
        given = self._given
        mask = given["attn_mask"]
        changed = {
            "query": given["query"][queries],
            "attn_mask": None if mask is None else mask[..., queries, :],
            "need_weights": True,
            "average_attn_weights": False,
            "dropout_p": 0.0,
        }
        weights: Tensor = self._function(**{**given, **changed})[1]
        weights = weights.reshape(-1, *weights.shape[-3:])
        return weights.masked_fill(weights.isnan().all(-1, keepdim=True), 0.0)

    def _values(self) -> Tensor:
        """Project the values as the function does, ``[N, H, S, D]``."""
        given = self._given
        heads = given["num_heads"]
        if given["static_v"] is not None:
            values: Tensor = given["static_v"].unflatten(0, (-1, heads))
        else:
            width = given["embed_dim_to_check"]
            weight = (
                given["v_proj_weight"] if given["use_separate_proj_weight"] else given["in_proj_weight"][2 * width :]
            )
            bias = None if given["in_proj_bias"] is None else given["in_proj_bias"][2 * width :]
            values = self._rows_first(functional.linear(given["value"], weight, bias))
            if given["bias_v"] is not None:
                values = torch.cat([values, given["bias_v"].expand(1, values.shape[1], -1)])
            values = values.unflatten(2, (heads, -1)).permute(1, 2, 0, 3)
        if given["add_zero_attn"]:
            values = functional.pad(values, (0, 0, 0, 1))
        return values

    @staticmethod
    def _rows_first(tensor: Tensor) -> Tensor:
        """Give a single row, which torch allows without its dimension, that dimension: ``[T, N, E]``."""
        return tensor if tensor.dim() == 3 else tensor[:, None]
