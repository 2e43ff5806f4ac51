"""Attention weighted by its gradient, through all layers.

Source: Chefer, Gur & Wolf, Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder
Transformers, ICCV 2021; the equations are numbered as there.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepseek.errors import DeepseekError
from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.naming import Kind, kind_of
from deepseek.explain.attention.rollout import measured
from deepseek.explain.attention.scores import TokenScores
from deepseek.explain.attention.selection import Budget
from deepseek.explain.attention.watch import Seen, Watcher, undisturbed
from deepseek.explain.call import Call
from deepseek.explain.target import Chooser, Target
from deepseek.text import printable


@dataclass(frozen=True, eq=False)
class Raising:
    """How much the weights of one call raise the target.

    Attributes:
        kind: Of the call.
        weights: Mean over the heads of weights x gradient where that is positive, ``[B, T, S]`` (equation 5).
        matters: How strongly the target depends on what each query got, ``[B, T]``.
    """

    kind: Kind
    weights: Tensor
    matters: Tensor


def relevance(maps: AttentionMaps, target: Target, orders: int) -> TokenScores:
    """Run the model again with gradients; see ``AttentionMaps.relevance``.

    A token's score is what of it has come through attention to those tokens of the last layer that the target depends
    on, each weighted by how strongly it does; as shares of the row's sum.
    """
    if maps.call is None:
        raise DeepseekError("Relevance needs the model: these maps were read from a file. Call `attention` again.")
    raising = gradients(maps.call, target, maps.limit_bytes)
    matrix = _through_layers(raising)
    last = raising[-1].matters
    share = last / last.sum(1, keepdim=True).clamp(min=torch.finfo(last.dtype).tiny)
    values = (share[:, None] @ matrix)[:, 0].double().cpu().numpy()
    values /= np.maximum(values.sum(1, keepdims=True), np.finfo(float).tiny)
    return measured(maps, values, matrix.double().cpu().numpy(), "gradient-weighted relevance", target, orders)


def gradients(call: Call, target: Target, limit_bytes: int) -> list[Raising]:
    """Return for every attention call how much its weights raise the target.

    The weights are a side product of most calls, out of autograd's reach; but as their product with the values is what
    a call returns, their gradient is that of the output times the values.
    """
    seen: list[tuple[Seen, Tensor]] = []
    budget = Budget(limit_bytes)

    def see(each: Seen) -> None:
        budget.reserve(*each.by_head.shape, each.name)
        heads, queries = (torch.arange(size, device=each.by_head.values.device) for size in each.by_head.shape[1:3])
        seen.append((each, each.by_head.take(heads, queries).weights))

    with undisturbed(call.model), torch.enable_grad(), Watcher(call.model, call.rows, see):
        output = call()
        chooser = Chooser(target, output, call.rows)
    if chooser.count != 1:
        raise DeepseekError(
            f"Relevance needs one number a row, and {chooser.description} are {chooser.count}: pass `target`, such as "
            "the index of a class."
        )
    try:
        found = torch.autograd.grad(chooser.initial.sum(), [each.by_head.output for each, _ in seen], allow_unused=True)
    except RuntimeError as error:
        raise DeepseekError(
            printable(f"Relevance needs gradients from the target to the attention calls, and there are none: {error}")
        ) from error
    return [_raising(*each, gradient) for each, gradient in zip(seen, found, strict=True)]


def _raising(each: Seen, weights: Tensor, gradient: Tensor | None) -> Raising:
    by_head = each.by_head
    with torch.no_grad():
        gradient = torch.zeros_like(by_head.output) if gradient is None else gradient
        got = by_head.split(gradient)
        queries = torch.arange(weights.shape[2], device=weights.device)
        kind = kind_of(each.name, each.module, weights, queries, tokens=weights.shape[2])
        raised = (weights * (got @ by_head.values.mT)).clamp(min=0).mean(1)
        return Raising(kind, raised, got.norm(dim=(1, 3)))


def _through_layers(raising: list[Raising]) -> Tensor:
    """Return what of each token of the inputs came to each token of the last layer, ``[B, T, S]``."""
    crosses = [each for each in raising if each.kind == "cross"]
    own = [each for each in raising if not crosses or each.kind == "self"]
    others = [each for each in raising if crosses and each.kind != "self"]
    _check_sizes(own, others)
    source = _eye((crosses or own)[0].weights)
    for each in own:
        source = source + each.weights @ source  # equation 6
    if not others:
        return source - _eye(source)
    decoder, across = _eye(others[0].weights.mT), torch.zeros_like(crosses[0].weights)
    for each in others:
        if each.kind == "cross":
            across = across + _even(decoder).mT @ each.weights @ _even(source)  # equation 10
        else:
            decoder, across = decoder + each.weights @ decoder, across + each.weights @ across  # equations 6 and 7
    return across


def _even(matrix: Tensor) -> Tensor:
    """Have what came from other tokens add up to as much as a token kept of itself (equations 8 and 9)."""
    came = matrix - _eye(matrix)
    return came / came.sum(-1, keepdim=True).clamp(min=torch.finfo(came.dtype).tiny) + _eye(matrix)


def _eye(like: Tensor) -> Tensor:
    """Return identity matrices for ``[B, T, S]``, as many rows and ``[S, S]``."""
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device).expand(len(like), -1, -1)


def _check_sizes(own: list[Raising], others: list[Raising]) -> None:
    square = {each.weights.shape for each in (*own, *(each for each in others if each.kind == "decoder"))}
    rows = {len(each.weights) for each in (*own, *others)}
    whole = all(shape[1] == shape[2] for shape in square)
    sequences = {each.weights.shape for each in own}, {each.weights.shape[1] for each in others}
    if not whole or len(rows) != 1 or any(len(sizes) > 1 for sizes in sequences):
        shapes = sorted({tuple(each.weights.shape) for each in (*own, *others)})
        raise DeepseekError(
            "Relevance needs the same rows and tokens in every layer, and no cache; the attention calls have "
            f"[rows, queries, keys] of {', '.join(map(str, shapes))}."
        )
