"""Operations that are traced as several simpler ones, each of which has a rule."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

aten = torch.ops.aten


def layer_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> Any:
    """``native_layer_norm`` as mean, product and reciprocal square root."""
    out, mean, scale = _normalised(x, list(range(-len(shape), 0)), eps)
    return _affine(out, weight, bias), mean, scale


def group_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, channels: int, pixels: int, groups: int, eps: float
) -> Any:
    """``native_group_norm``, as above."""
    out, mean, scale = _normalised(x.reshape(n, groups, channels // groups * pixels), [-1], eps)
    return _affine(out.reshape(x.shape), *_by_channel(x, weight, bias)), mean.flatten(1), scale.flatten(1)


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    training: bool,
    _momentum: float,
    eps: float,
) -> Any:
    """``native_batch_norm``: a factor and a summand; or the statistics of the input, as instance norm uses it."""
    if mean is not None and variance is not None and not training:
        factor = (variance + eps).rsqrt() * (1 if weight is None else weight)
        shift = (0 if bias is None else bias) - mean * factor
        return _affine(x, *_by_channel(x, factor, shift)), mean, variance
    out, mean, scale = _normalised(x, [dim for dim in range(x.dim()) if dim != 1], eps)
    return _affine(out, *_by_channel(x, weight, bias)), mean.flatten(), scale.flatten()


def batch_norm_of_inference(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    momentum: float,
    eps: float,
) -> Any:
    """``_native_batch_norm_legit_no_training``."""
    return batch_norm(x, weight, bias, mean, variance, False, momentum, eps)


def variance(
    x: Tensor,
    dim: Sequence[int] | None = None,
    *,
    correction: float | None = 1,
    keepdim: bool = False,
) -> Tensor:
    """``var`` as a mean of squares."""
    dims = [place % x.dim() for place in dim] if dim else list(range(x.dim()))
    count = math.prod(x.shape[place] for place in dims)
    centred = x - x.mean(dims, keepdim=True)
    free = count - (1 if correction is None else correction)
    return (centred * centred).sum(dims, keepdim=keepdim) / free


def deviation(x: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """``std``."""
    return variance(x, *arguments, **options).sqrt()


def variance_and_mean(x: Tensor, dim: Sequence[int] | None = None, **options: Any) -> tuple[Tensor, Tensor]:
    """``var_mean``."""
    return variance(x, dim, **options), _mean(x, dim, options)


def deviation_and_mean(x: Tensor, dim: Sequence[int] | None = None, **options: Any) -> tuple[Tensor, Tensor]:
    """``std_mean``."""
    return deviation(x, dim, **options), _mean(x, dim, options)


def vector_norm(
    x: Tensor, order: float = 2, dim: Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """``linalg_vector_norm`` of first, second and infinite order."""
    x = x if dtype is None else x.to(dtype)
    dims = list(dim) if dim else list(range(x.dim()))
    if order == 1:
        return x.abs().sum(dims, keepdim=keepdim)
    if order == 2:
        return (x * x).sum(dims, keepdim=keepdim).sqrt()
    if order == math.inf:
        return x.abs().amax(dims, keepdim=keepdim)
    return NotImplemented


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """``glu`` as a product."""
    value, gate = x.chunk(2, dim)
    return value * gate.sigmoid()


def log_sigmoid(x: Tensor) -> tuple[Tensor, Tensor]:
    """``log_sigmoid_forward`` by way of softplus."""
    return -functional.softplus(-x), x.new_zeros(0)


def copied(into: Tensor, source: Tensor, _non_blocking: bool = False) -> Tensor:
    """``copy``: what was there before does not matter."""
    return source.to(into.dtype).expand(into.shape)


def slice_scattered(
    x: Tensor, source: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """``slice_scatter`` with an end within the tensor: the one that stands for "up to the last" overflows in vmap."""
    size = x.shape[dim]
    if end is not None and end <= size:
        return NotImplemented
    return torch.slice_scatter(x, source, dim, start, size, step)


def largest(x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Tensor:
    """``amax`` as the largest along one dimension."""
    dims = sorted(place % x.dim() for place in dim) if dim else list(range(x.dim()))
    others = [place for place in range(x.dim()) if place not in dims]
    out = x.permute(*others, *dims).flatten(len(others)).max(-1).values
    return out.reshape([1 if place in dims else size for place, size in enumerate(x.shape)]) if keepdim else out


def smallest(x: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Tensor:
    """``amin``."""
    return -largest(-x, dim, keepdim)


def larger(a: Tensor, b: Tensor) -> Tensor:
    """``maximum`` of two as the largest along a new dimension."""
    return torch.stack(torch.broadcast_tensors(a, b)).max(0).values


def smaller(a: Tensor, b: Tensor) -> Tensor:
    """``minimum`` of two."""
    return -larger(-a, -b)


def _mean(x: Tensor, dim: Sequence[int] | None, options: dict[str, Any]) -> Tensor:
    return x.mean(list(dim) if dim else list(range(x.dim())), keepdim=options.get("keepdim", False))


def _normalised(x: Tensor, dims: list[int], eps: float) -> tuple[Tensor, Tensor, Tensor]:
    mean = x.mean(dims, keepdim=True)
    centred = x - mean
    scale = ((centred * centred).mean(dims, keepdim=True) + eps).rsqrt()
    return centred * scale, mean, scale


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _by_channel(x: Tensor, *vectors: Tensor | None) -> list[Tensor | None]:
    shape = [-1] + [1] * (x.dim() - 2)
    return [None if vector is None else vector.reshape(shape) for vector in vectors]


TABLE: dict[Any, Callable[..., Any]] = {
    aten.native_layer_norm.default: layer_norm,
    aten.native_group_norm.default: group_norm,
    aten.native_batch_norm.default: batch_norm,
    aten._native_batch_norm_legit_no_training.default: batch_norm_of_inference,
    aten.var.correction: variance,
    aten.std.correction: deviation,
    aten.var_mean.correction: variance_and_mean,
    aten.std_mean.correction: deviation_and_mean,
    aten.linalg_vector_norm.default: vector_norm,
    aten.copy.default: copied,
    aten.slice_scatter.default: slice_scattered,
    aten.glu.default: glu,
    aten.log_sigmoid_forward.default: log_sigmoid,
    aten.amax.default: largest,
    aten.amin.default: smallest,
    aten.maximum.default: larger,
    aten.minimum.default: smaller,
}
"""By operation, for ``make_fx``; one that returns NotImplemented leaves the operation as it is."""
