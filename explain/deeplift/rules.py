"""Which rule each operation has; one without is refused by name."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from deepseek.errors import DeepseekError
from deepseek.explain.deeplift import secants
from deepseek.explain.deeplift.operation import Cotangents, Operation, Pair, Rule

aten = torch.ops.aten


def rule_for(operation: Operation) -> Rule:
    """Return the rule of an operation.

    Raises:
        DeepseekError: It has none.
    """
    if any(not node.meta["example"].is_floating_point() for node in operation.inputs):
        return _rule_for_whole_numbers(operation)
    if not _is_floating(operation.node.meta["example"]):
        raise _refusal(operation)
    name = _plain_name(operation)
    only_first = operation.inputs == operation.given[:1] and operation.factors == 1
    if name in STRAIGHT:
        return straight
    if name == "convolution" and only_first:
        return convolution
    if name in PRODUCTS:
        return product if operation.factors > 1 else straight
    if name in UNARY and only_first and not _has_exotic_options(operation):
        return unary(UNARY[name])
    if name in OTHERS and not _has_exotic_options(operation):
        return OTHERS[name]
    raise _refusal(operation)


def _rule_for_whole_numbers(operation: Operation) -> Rule:
    name = _plain_name(operation)
    floating = operation.node.meta["example"].is_floating_point()
    if len(operation.inputs) == 1 and floating and name in ENTRIES:
        return entry
    if len(operation.inputs) == 1 and not floating and name in STRUCTURE:
        return straight
    raise _refusal(operation)


def _is_floating(value: Any) -> bool:
    """Whether it is a floating-point tensor, or one of several."""
    return any(isinstance(leaf, Tensor) and leaf.is_floating_point() for leaf in pytree.tree_leaves(value))


def _plain_name(operation: Operation) -> str:
    name = operation.name.removeprefix("aten.")
    return name if name == "_to_copy" else name.removesuffix("_copy")


def _refusal(operation: Operation) -> DeepseekError:
    return DeepseekError(
        f'DeepLIFT has no rule for {operation.place}: use `method="expected_gradients"`, which needs none.'
    )


def entry(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule where whole numbers turn into floating-point ones, such as token ids into embeddings.

    Whole numbers have no slope, so what goes back from here is the contribution itself, summed over the width.
    """
    (node,) = operation.inputs
    change = operation.call(pair.at_actual) - operation.call(pair.at_reference)
    contribution = cotangent * change
    return [(node, contribution.sum(-1) if operation.name == "aten.embedding" else contribution)]


def straight(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of what is linear in its inputs: its derivative, which is the same everywhere."""

    def at_zero(node: fx.Node) -> Tensor:
        example = node.meta["example"]
        return torch.zeros_like(example, dtype=None if example.is_floating_point() else cotangent.dtype)

    return _pulled_back(operation, pair, cotangent, at_zero)


def convolution(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of a convolution with fixed weights: its derivative, which is the transposed one.

    Weights of pictures have their channels last, as cotangents then have, too: with many pictures that is much faster.
    """
    image, weight, _, stride, padding, dilation, transposed, _, groups = operation.given
    kernel = pair.at_actual(weight)
    if kernel.dim() == 4:
        kernel = kernel.contiguous(memory_format=torch.channels_last)
    sizes = zip(
        image.meta["example"].shape[2:],
        cotangent.shape[2:],
        kernel.shape[2:],
        *(_each(option, kernel.dim() - 2) for option in (stride, padding, dilation)),
        strict=True,
    )
    missed = [size + 2 * pad - (out - 1) * step - apart * (own - 1) - 1 for size, out, own, step, pad, apart in sizes]
    options = (stride, padding, dilation, not transposed, [0] * len(missed) if transposed else missed, groups)
    return [(image, aten.convolution(cotangent, kernel, None, *options))]


def _each(option: list[int], dimensions: int) -> list[int]:
    """An option for each dimension, which may be given once for all."""
    return list(option) * dimensions if len(option) == 1 else list(option)


def product(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of what is bilinear: its derivative halfway, which shares the change out to both factors symmetrically.

    The change of ``a * b`` is ``mean(b)`` times that of ``a`` plus ``mean(a)`` times that of ``b``, exactly.
    """
    return _pulled_back(operation, pair, cotangent, pair.at_middle)


def unary(secant: secants.Secant) -> Rule:
    """Rescale rule of a function of one number: the slope of its secant."""

    def rule(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
        actual, *rest = operation.arguments(pair.at_actual)
        (node,) = operation.inputs
        slope = secant(actual, pair.at_reference(node), *rest, **operation.options(pair.at_actual))
        return [(node, cotangent * slope)]

    return rule


def divide(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of ``a / b``: a product with the reciprocal."""
    numerator, denominator = operation.given[:2]
    if denominator not in operation.inputs:
        return straight(operation, pair, cotangent)
    a, b = (pair.at_actual(denominator), pair.at_reference(denominator))
    above = pair.at_middle(numerator) if isinstance(numerator, fx.Node) else numerator
    shares = [(denominator, _summed_to(cotangent * above * secants.reciprocal(a, b), a))]
    if numerator in operation.inputs:
        shares.append((numerator, _summed_to(cotangent * (1 / a + 1 / b) / 2, pair.at_actual(numerator))))
    return shares


def softmax(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of the softmax: the exponential of the log-softmax."""
    node, dim = operation.given[:2]
    slopes, p, q = secants.log_mean_exp_weights(pair.at_actual(node), pair.at_reference(node), dim)
    return [
        (node, _centred(cotangent * secants.exp(p, q).where(torch.isfinite(p) | torch.isfinite(q), 0), slopes, dim))
    ]


def log_softmax(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of the log-softmax: x minus the logarithm of the sum of exponentials."""
    node, dim = operation.given[:2]
    slopes, _, _ = secants.log_mean_exp_weights(pair.at_actual(node), pair.at_reference(node), dim)
    return [(node, _centred(cotangent, slopes, dim))]


def logsumexp(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of the logarithm of a sum of exponentials."""
    node, (dim,), *keep = operation.given
    slopes, _, _ = secants.log_mean_exp_weights(pair.at_actual(node), pair.at_reference(node), dim)
    return [(node, slopes * (cotangent if any(keep) else cotangent.unsqueeze(dim)))]


def max_pool(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of max pooling: a window's change belongs to its larger element of both rows.

    That element changed by at least as much as the maximum did, so that slopes are between 0 and 1 and windows may
    overlap.
    """
    (node,) = operation.inputs
    spatial = 3 if "3d" in operation.name else 2
    (a, b), ((top_a, at_a), (top_b, at_b)) = _both(operation, pair)
    places = torch.where(top_a >= top_b, at_a, at_b).flatten(-spatial)
    change = (top_a - top_b).flatten(-spatial)
    slopes = _slopes_at(places, change, (a - b).flatten(-spatial), -1)
    shares = torch.zeros_like(a.flatten(-spatial)).scatter_add(-1, places, cotangent[0].flatten(-spatial) * slopes)
    return [(node, shares.reshape(a.shape))]


def largest(operation: Operation, pair: Pair, cotangent: Any) -> Cotangents:
    """Rule of the largest along one dimension, as of one window."""
    (node,), dim = operation.inputs, operation.given[1]
    keep = len(operation.given) > 2 and operation.given[2]
    (a, b), (top_a, top_b) = _both(operation, pair)
    tops, at_a, at_b, passed = (
        x if keep else x.unsqueeze(dim) for x in (top_a[0] - top_b[0], top_a[1], top_b[1], cotangent[0])
    )
    places = torch.where(tops >= 0, at_a, at_b)
    slopes = _slopes_at(places, tops, a - b, dim)
    return [(node, torch.zeros_like(a).scatter(dim, places, passed * slopes))]


FIXED: tuple[Rule, ...] = (straight, convolution)
"""Rules with the same slopes for every pair of rows, which need not know the activations of their inputs."""

_LINEAR = """
_adaptive_avg_pool2d _adaptive_avg_pool3d _reshape_alias _to_copy _unsafe_view adaptive_avg_pool1d add alias as_strided
avg_pool1d avg_pool2d avg_pool3d cat clone col2im constant_pad_nd cumsum detach diag_embed diagonal expand flip
gather im2col index index_put index_select lift_fresh masked_fill mean narrow native_channel_shuffle neg permute
pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d reflection_pad3d repeat replication_pad1d
replication_pad2d replication_pad3d reshape roll rsub scatter scatter_add select select_scatter slice slice_scatter
split split_with_sizes squeeze stack sub sum t trace transpose tril triu unbind unfold unsafe_chunk unsafe_split
unsafe_split_with_sizes unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
upsample_nearest2d upsample_nearest3d upsample_trilinear3d view where
"""
STRAIGHT = frozenset(_LINEAR.split())
"""Linear (or affine) in all floating-point tensors together. What selects, such as an index or a condition, cannot
depend on what is explained: whatever makes it has no rule."""

_SHAPING = """
_reshape_alias _to_copy alias cat clone detach expand flip lift_fresh permute reshape select slice squeeze t transpose
unsqueeze view
"""
STRUCTURE = frozenset(_SHAPING.split())
"""What may be done to whole numbers before they turn into floating-point ones."""

ENTRIES = frozenset(("_to_copy", "embedding"))
"""What turns whole numbers into floating-point ones."""

PRODUCTS = frozenset(
    ["addbmm", "addcmul", "addmm", "addmv", "baddbmm", "bmm", "convolution", "dot", "lerp", "mm", "mul", "mv"]
)
"""Linear in each of their factors."""

UNARY: dict[str, secants.Secant] = {
    "_prelu_kernel": secants.leaky_relu,
    "abs": secants.absolute,
    "celu": secants.celu,
    "clamp": secants.clamped(torch.clamp),
    "clamp_max": secants.clamped(torch.clamp_max),
    "clamp_min": secants.clamped(torch.clamp_min),
    "cos": secants.cos,
    "elu": secants.elu,
    "erf": secants.erf,
    "exp": secants.exp,
    "expm1": secants.exp,
    "gelu": secants.gelu,
    "hardsigmoid": secants.hardsigmoid,
    "hardswish": secants.hardswish,
    "hardtanh": secants.clamped(aten.hardtanh.default),
    "leaky_relu": secants.leaky_relu,
    "log": secants.log,
    "log1p": secants.log1p,
    "mish": secants.mish,
    "pow": secants.power,
    "reciprocal": secants.reciprocal,
    "relu": secants.relu,
    "rsqrt": secants.rsqrt,
    "sigmoid": secants.sigmoid,
    "silu": secants.silu,
    "sin": secants.sin,
    "softplus": secants.softplus,
    "sqrt": secants.sqrt,
    "square": lambda a, b: a + b,
    "tanh": secants.tanh,
}
"""Functions of one number, with the slopes of their secants."""

OTHERS: dict[str, Rule] = {
    "_log_softmax": log_softmax,
    "_safe_softmax": softmax,
    "_softmax": softmax,
    "adaptive_max_pool2d": max_pool,
    "adaptive_max_pool3d": max_pool,
    "div": divide,
    "logsumexp": logsumexp,
    "max": largest,
    "max_pool2d_with_indices": max_pool,
    "max_pool3d_with_indices": max_pool,
}


def _has_exotic_options(operation: Operation) -> bool:
    """Whether it rounds, or raises to the power of a tensor."""
    name, arguments = operation.name, operation.given
    return bool(operation.node.kwargs.get("rounding_mode")) or (
        name == "aten.pow" and isinstance(arguments[1], fx.Node)
    )


def _pulled_back(operation: Operation, pair: Pair, cotangent: Any, point: Callable[[fx.Node], Tensor]) -> Cotangents:
    def function(*tensors: Tensor) -> Any:
        replaced = dict(zip(operation.inputs, tensors, strict=True))
        return operation.call(lambda node: replaced[node] if node in replaced else pair.at_actual(node))

    output, pull = torch.func.vjp(function, *map(point, operation.inputs))[:2]
    if isinstance(output, (tuple, list)):
        cotangent = type(output)(
            torch.zeros_like(one) if passed is None else passed for one, passed in zip(output, cotangent, strict=True)
        )
    return list(zip(operation.inputs, pull(cotangent), strict=True))


def _both(operation: Operation, pair: Pair) -> tuple[tuple[Tensor, Tensor], tuple[Any, Any]]:
    (node,) = operation.inputs
    rows = pair.at_actual(node), pair.at_reference(node)
    return rows, (operation.call(pair.at_actual), operation.call(pair.at_reference))


def _slopes_at(places: Tensor, change: Tensor, distances: Tensor, dim: int) -> Tensor:
    """By how much the largest changed, relative to the element that it is taken from."""
    distance = distances.gather(dim, places)
    same = distance == 0
    return torch.where(same, 1, change / torch.where(same, 1, distance))


def _centred(cotangent: Tensor, weights: Tensor, dim: int) -> Tensor:
    return cotangent - weights * cotangent.sum(dim, keepdim=True)


def _summed_to(cotangent: Tensor, like: Tensor) -> Tensor:
    """Sum over the dimensions that were broadcast."""
    return cotangent.sum_to_size(like.shape)
