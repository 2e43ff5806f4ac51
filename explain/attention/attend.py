"""The way in: the attention maps of one forward pass of a model."""

from typing import Any

import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain.attention.by_head import Taken
from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.naming import kind_of
from deepseek.explain.attention.one_map import AttentionMap
from deepseek.explain.attention.precisely import InFloat64
from deepseek.explain.attention.selection import LIMIT_BYTES, Budget, Indices, Layers, Selection, chosen
from deepseek.explain.attention.tokens import decoder_tokens, source_tokens
from deepseek.explain.attention.watch import Seen, Watcher, undisturbed
from deepseek.explain.call import Call, Inputs
from deepseek.text import printable

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""How far weights x values may be from what a call returned, relative to its largest number."""


def attention(
    model: nn.Module,
    inputs: Inputs,
    *,
    layers: Layers = None,
    heads: Indices = None,
    tokens: Indices = None,
    tokenizer: Any = None,
    precise: bool = False,
    limit_bytes: int = LIMIT_BYTES,
) -> AttentionMaps:
    """Return where each token looks, in every attention call of one forward pass, by head.

    The model runs once, in evaluation mode and without gradients, and is not changed. Attention is seen in calls of
    ``scaled_dot_product_attention`` and ``multi_head_attention_forward``, and where a softmax is multiplied with
    values: in models of any library, also with grouped heads, position biases and caches. Every map is checked: its
    rows add up to 1, and weights x values is what the call returned.

    A map is what slow attention computes of the call's own inputs. End to end it differs from the map of a model whose
    attention is slow throughout by what float32 rounds in the layers before: by 2.7e-6 in the trained MiniLM, whose
    slow attention is itself 3.4e-6 away from float64. With ``precise`` the two agree to 3e-8.

    What is not seen: scripted and exported code, flex_attention, and kernels of packages such as flash_attn. Use
    another attention implementation of the model for looking at it, such as transformers' ``"sdpa"``.

    Args:
        model: The model.
        inputs: A tensor, a tuple (positional arguments), or a mapping (keyword arguments), such as a tokenizer gives.
            Caches among them are copied, so that they do not grow.
        layers: Which calls: a glob over their names, a place in their order, or several of these; None for all.
        heads: Which heads; None for all.
        tokens: Which queries, that is tokens that look; -1 is the last one; None for all. Weights of others are not
            computed, which bounds the memory for long sequences.
        tokenizer: A tokenizer of transformers, for the texts of the tokens and for telling special ones.
        precise: Read the maps of a pass in float64, with copies of parameters and inputs: what the model's weights say
            beyond its own rounding, in more time and memory. Derived maps go on with the model as it is.
        limit_bytes: Most memory that the maps may take.

    Returns:
        The maps, in the order of the calls.

    Raises:
        DeepseekError: Nothing was found, a map failed its check, the maps are too large, or an argument does not fit.
    """
    selection = Selection(layers, heads, tokens, limit_bytes)
    call = Call(model, inputs)
    source, decoder = source_tokens(call, tokenizer), decoder_tokens(call, tokenizer)
    count = _count(call) if selection.counts_from_the_end else None
    collector = _Collector(selection, count)
    watcher = Watcher(model, call.rows, collector)
    read = Call(InFloat64(model), inputs) if precise else call
    with undisturbed(model), torch.no_grad(), watcher:
        read()
    _check_found(watcher, selection, model)
    return AttentionMaps(
        maps=tuple(collector.maps),
        model=printable(type(model).__name__),
        source=source,
        decoder=decoder,
        complete=layers is heads is tokens is None,
        notes=(*_notes(watcher), *(["Read from a pass in float64."] if precise else [])),
        call=call,
        limit_bytes=limit_bytes,
    )


class _Collector:
    """Keeps what was selected of the calls that it is shown."""

    def __init__(self, selection: Selection, count: int | None) -> None:
        self.maps: list[AttentionMap] = []
        self._selection, self._count = selection, count
        self._budget = Budget(selection.limit_bytes)

    def __call__(self, seen: Seen) -> None:
        selection, by_head = self._selection, seen.by_head
        if not selection.takes(seen.place, seen.name, self._count):
            return
        rows, all_heads, all_queries, keys = by_head.shape
        device = by_head.values.device
        heads = chosen("heads", selection.heads, all_heads, seen.name, device)
        queries = chosen("tokens", selection.tokens, all_queries, seen.name, device)
        self._budget.reserve(rows, len(heads), len(queries), keys, seen.name)
        taken = by_head.take(heads, queries)
        _check(seen.name, taken, by_head.output.dtype, partial=by_head.partial)
        kind = kind_of(seen.name, seen.module, taken.weights, queries, tokens=all_queries)
        self.maps.append(
            AttentionMap(
                name=seen.name,
                kind=kind,
                weights=taken.weights.float().cpu().numpy(),
                value_norms=by_head.values[:, heads].float().norm(dim=-1).cpu().numpy(),
                heads=tuple(heads.tolist()),
                queries=tuple(queries.tolist()),
                tokens=all_queries,
                deviation=taken.deviation,
            )
        )


def _check(name: str, taken: Taken, dtype: torch.dtype, *, partial: bool) -> None:
    weights, deviation = taken.weights, taken.deviation
    tolerance = TOLERANCE.get(dtype, 5e-2)
    total = weights.to(torch.promote_types(weights.dtype, torch.float32)).sum(-1)
    above, below = (total - 1).max().item(), 0.0 if partial else ((1 - total) * (weights != 0).any(-1)).max().item()
    off = max(above, below, -weights.min().item())
    if not off <= tolerance:
        raise DeepseekError(
            printable(
                f"The weights of the attention call {name} do not add up to 1: they are off by {off:.2g}. "
                "Leave it out with `layers`."
            )
        )
    if not deviation <= tolerance:
        raise DeepseekError(
            printable(
                f"The weights of the attention call {name} do not explain what it returned: weights x values is off by "
                f"{deviation:.2g} of its largest number. Does it drop weights at random although the model is in "
                "evaluation mode? Leave it out with `layers`."
            )
        )


def _check_found(watcher: Watcher, selection: Selection, model: nn.Module) -> None:
    if not watcher.names:
        implementation = getattr(getattr(model, "config", None), "_attn_implementation", None)
        says = f" The model's attention implementation is {implementation!r}." if implementation else ""
        unused = "".join(f" Not known here: {note}." for note in _notes(watcher)[:3])
        raise DeepseekError(
            printable(
                f"No attention was seen in the forward pass of {type(model).__name__}.{says}{unused} Scripted code, "
                "flex_attention and kernels of other packages, such as flash_attn, cannot be seen: with transformers, "
                'load the model with `attn_implementation="sdpa"`.'
            )
        )
    selection.check_found(watcher.names)


def _notes(watcher: Watcher) -> tuple[str, ...]:
    return tuple(
        f"{name} takes a softmax that was not seen to be multiplied with values: no attention, or a kind of it that is "
        "not known here"
        for name in watcher.softmaxes.unused
    )


def _count(call: Call) -> int:
    """Count the attention calls of a forward pass."""
    watcher = Watcher(call.model, call.rows, lambda _seen: None)
    with undisturbed(call.model), torch.no_grad(), watcher:
        call()
    return len(watcher.names)
