"""Deletes tokens in the order of their scores, and in random orders, and looks how far the output moves."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.attention.erasing import Eraser, eraser
from deepseek.explain.attention.scores import Faithfulness, Numbers
from deepseek.explain.attention.tokens import Tokens
from deepseek.explain.attention.watch import undisturbed
from deepseek.explain.call import Call
from deepseek.explain.target import Chooser, Target

STEPS = 8
"""In how many steps the tokens of a row are deleted."""

_AT_ONCE = 64
"""Rows that the model computes at once."""


def deletion(
    call: Call, scores: Numbers, tokens: Tokens, target: Target, orders: int, *, seed: int = 0
) -> Faithfulness:
    """Measure how faithful scores are to what the model does.

    Args:
        call: The model and its inputs.
        scores: ``[B, S]``.
        tokens: What is known about the tokens: neither special ones nor padding are deleted.
        target: Which outputs; see ``Faithfulness`` for what is measured of them.
        orders: Number of random orders.
        seed: Of the random orders; no other random state is used or changed.

    Raises:
        DeepseekError: Tokens of this model cannot be deleted, or a row has fewer than two.
    """
    takes = eraser(call, tokens, scores.shape[1])
    able = takes.erasable(tokens, *scores.shape)
    if able.sum(1).min() < 2:
        raise DeepseekError("a row has fewer than two tokens that could be deleted")
    with undisturbed(call.model), torch.no_grad():
        chooser = Chooser(target, call(), call.rows)
        gone = np.stack(list(_orders(scores, able, orders, seed)))
        moved = _moved(call, chooser, takes, gone, target is not None)
    random = moved[1:]
    margin = 1.96 * random.std(ddof=1) / math.sqrt(orders) if orders > 1 else math.nan
    mean = float(random.mean())
    return Faithfulness(float(moved[0]), mean, float(mean - margin), float(mean + margin), orders, takes.words)


def _orders(scores: Numbers, able: NDArray[np.bool_], orders: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Yield what is deleted in each step, ``[B * steps, S]``: by the scores first, then in the random orders."""
    chance = np.random.default_rng(seed)
    for order in range(1 + orders):
        ranked = scores if order == 0 else chance.random(scores.shape)
        place = np.argsort(np.argsort(np.where(able, -ranked, np.inf), axis=1, kind="stable"), axis=1)
        counts = np.ceil(able.sum(1, keepdims=True) * np.arange(1, STEPS) / STEPS)
        yield (place[:, None] < counts[..., None]).reshape(-1, scores.shape[1])


def _moved(call: Call, chooser: Chooser, takes: Eraser, gone: NDArray[np.bool_], falls: bool) -> Numbers:
    """Return how far the outputs move on average in each order, ``[orders]``, for what is gone ``[orders, N, S]``."""
    orders, count, _ = gone.shape
    every = torch.arange(call.rows).repeat_interleave(count // call.rows).repeat(orders)
    moved = []
    for rows, erased in zip(every.split(_AT_ONCE), torch.from_numpy(gone).flatten(0, 1).split(_AT_ONCE), strict=True):
        now = chooser(call(rows, takes.erase(*_beside(call, rows, erased))), rows)
        change = chooser.initial[rows.to(now.device)] - now
        moved.append((change.mean(1) if falls else change.norm(dim=1)).double().cpu())
    means: Numbers = torch.cat(moved).reshape(orders, count).mean(1).numpy()
    return means


def _beside(call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Move tensors to where the inputs are."""
    device = next(iter(call.tensors.values())).device
    return tuple(tensor.to(device) for tensor in tensors)
