"""Slopes of the secant, (f(a) - f(b)) / (a - b), of functions of one number, exact also where a and b nearly agree.

With the Rescale rule of DeepLIFT, the slope between an activation ``a`` and its reference ``b`` takes the place of the
derivative. A function gets a formula that cancels nowhere, so that there is no threshold between slope and derivative.
For products the slope is ``mean(f) slope(g) + mean(g) slope(f)``, exactly; for nested functions the product of slopes.

Source: Shrikumar, Greenside and Kundaje 2017, "Learning important features through propagating activation
differences", section 3.5.1.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Secant = Callable[..., Tensor]


def clamped(function: Callable[..., Tensor]) -> Secant:
    """Secant of a function that is x itself or constant, where the plain quotient loses nothing."""

    def secant(a: Tensor, b: Tensor, *rest: Any, **options: Any) -> Tensor:
        def apply(x: Tensor) -> Tensor:
            return function(x, *rest, **options)

        distance = a - b
        value, pull = torch.func.vjp(apply, a)[:2]
        (derivative,) = pull(torch.ones_like(value))
        return _divided(value - apply(b), distance, derivative)

    return secant


def relu(a: Tensor, b: Tensor) -> Tensor:
    """Slope of max(x, 0)."""
    return _divided(a.relu() - b.relu(), a - b, (a > 0).to(a.dtype))


def leaky_relu(a: Tensor, b: Tensor, negative_slope: float | Tensor = 0.01) -> Tensor:
    """Slope of x where it is positive, and of negative_slope x elsewhere; with a tensor as slope also PReLU."""
    positive = relu(a, b)
    return positive + negative_slope * (1 - positive)


def hardsigmoid(a: Tensor, b: Tensor) -> Tensor:
    """Slope of x / 6 + 1/2 between 0 and 1."""
    return clamped(torch.clamp)(a, b, -3, 3) / 6


def absolute(a: Tensor, b: Tensor) -> Tensor:
    """Slope of |x|."""
    return _divided(a.abs() - b.abs(), a - b, a.sign())


def exp(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the exponential: the logarithmic mean of both exponentials."""
    distance = (a - b).abs()
    return torch.maximum(a, b).exp() * _divided(-torch.expm1(-distance), distance, torch.ones_like(distance))


def log(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the natural logarithm."""
    low, distance = torch.minimum(a, b), (a - b).abs()
    return _divided(torch.log1p(distance / low), distance, 1 / low)


def log1p(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the logarithm of 1 + x."""
    low, distance = torch.minimum(a, b), (a - b).abs()
    return _divided(torch.log1p(distance / (1 + low)), distance, 1 / (1 + low))


def tanh(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the hyperbolic tangent, by its addition theorem."""
    distance = a - b
    return (1 - a.tanh() * b.tanh()) * _divided(distance.tanh(), distance, torch.ones_like(distance))


def sigmoid(a: Tensor, b: Tensor) -> Tensor:
    """Slope of 1 / (1 + exp(-x))."""
    return tanh(a / 2, b / 2) / 4


def erf(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the error function: the mean of its derivative over near arguments, by three-point Gauss quadrature."""
    distance, middle = a - b, (a + b) / 2
    near = distance.abs() < torch.finfo(a.dtype).eps ** (1 / 7)  # rounding and truncation are equally small there
    offset = distance * math.sqrt(3 / 20)
    mean = (8 * _bell(middle) + 5 * _bell(middle - offset) + 5 * _bell(middle + offset)) / 18
    return torch.where(near, mean, (a.erf() - b.erf()) / torch.where(near, 1, distance))


def softplus(a: Tensor, b: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Slope of log(1 + exp(beta x)) / beta; beyond the threshold both are straight to the last bit or nearly so."""
    distance = (a - b).abs() * beta
    near = (distance < 1) & (torch.maximum(a, b) * beta < threshold)
    small = -torch.log1p(torch.maximum(a, b).mul(beta).sigmoid() * torch.expm1(-torch.where(near, distance, 0)))
    wide = (functional.softplus(a, beta, threshold) - functional.softplus(b, beta, threshold)) * (a - b).sign() * beta
    return _divided(torch.where(near, small, wide), distance, torch.sigmoid(beta * a))


def sqrt(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the square root; none between two zeros."""
    total = a.sqrt() + b.sqrt()
    return _divided(torch.ones_like(total), total, torch.zeros_like(total))


def rsqrt(a: Tensor, b: Tensor) -> Tensor:
    """Slope of 1 / sqrt(x)."""
    p, q = a.rsqrt(), b.rsqrt()
    return -p * q * (p * q / (p + q))


def reciprocal(a: Tensor, b: Tensor) -> Tensor:
    """Slope of 1 / x."""
    return -(1 / a) * (1 / b)


def sin(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the sine."""
    return ((a + b) / 2).cos() * _sinc(a - b)


def cos(a: Tensor, b: Tensor) -> Tensor:
    """Slope of the cosine."""
    return -((a + b) / 2).sin() * _sinc(a - b)


def power(a: Tensor, b: Tensor, exponent: float) -> Tensor:
    """Slope of x ** exponent; for exponents that are no whole numbers, x must be positive, as for the power itself."""
    if exponent == 0:
        return torch.zeros_like(a + b)
    if exponent < 0:
        return reciprocal(a**-exponent, b**-exponent) * power(a, b, -exponent)
    if exponent == 0.5:
        return sqrt(a, b)
    if float(exponent).is_integer() and exponent <= 16:
        whole = int(exponent)
        return sum((a**i * b ** (whole - 1 - i) for i in range(whole)), start=torch.zeros_like(a + b))
    return exp(exponent * a.log(), exponent * b.log()) * exponent * log(a, b)


def silu(a: Tensor, b: Tensor) -> Tensor:
    """Slope of x sigmoid(x)."""
    return _times_x(a, b, torch.sigmoid, sigmoid)


def gelu(a: Tensor, b: Tensor, *, approximate: str = "none") -> Tensor:
    """Slope of x times the normal distribution, or of its approximation with tanh."""
    if approximate == "tanh":
        bend, scale = 0.044715, math.sqrt(2 / math.pi)
        slope = (
            tanh(scale * (a + bend * a**3), scale * (b + bend * b**3)) * scale * (1 + bend * (a * a + a * b + b * b))
        )
        return _times_x(a, b, lambda x: (1 + torch.tanh(scale * (x + bend * x**3))) / 2, lambda *_: slope / 2)
    root = math.sqrt(0.5)
    return _times_x(a, b, lambda x: (1 + torch.erf(x * root)) / 2, lambda p, q: erf(p * root, q * root) * root / 2)


def hardswish(a: Tensor, b: Tensor) -> Tensor:
    """Slope of x hardsigmoid(x)."""
    return _times_x(a, b, functional.hardsigmoid, hardsigmoid)


def mish(a: Tensor, b: Tensor) -> Tensor:
    """Slope of x tanh(softplus(x))."""
    return _times_x(
        a,
        b,
        lambda x: torch.tanh(functional.softplus(x)),
        lambda p, q: tanh(functional.softplus(p), functional.softplus(q)) * softplus(p, q),
    )


def elu(a: Tensor, b: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Tensor:
    """Slope of x where it is positive, and alpha (exp(x) - 1) elsewhere."""
    positive = relu(a, b)
    negative = exp(input_scale * a.clamp(max=0), input_scale * b.clamp(max=0)) * input_scale * (1 - positive)
    return scale * (positive + alpha * negative)


def celu(a: Tensor, b: Tensor, alpha: float = 1.0) -> Tensor:
    """Slope of ELU with the exponential stretched by alpha."""
    return elu(a, b, alpha, 1.0, 1 / alpha)


def log_mean_exp_weights(a: Tensor, b: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes of log(sum(exp(x))) towards each element, and both log-softmaxes.

    The slope of the sum's logarithm times the slope of each exponential: a quotient of logarithmic means, in logarithms
    because exponentials of one row can be out of range for the other.

    Returns:
        The slopes, and the log-softmax of ``a`` and of ``b``.
    """
    p, q = torch.log_softmax(a, dim), torch.log_softmax(b, dim)
    masked = (a == -math.inf) & (b == -math.inf)
    shift = torch.where(masked, 0, a - b)
    total = torch.logsumexp(a, dim, keepdim=True) - torch.logsumexp(b, dim, keepdim=True)
    slope = ((p + q) / 2 + _log_sinhc(shift / 2) - _log_sinhc(total / 2)).exp()
    return torch.where(masked, 0, slope), p, q


def _times_x(a: Tensor, b: Tensor, function: Callable[[Tensor], Tensor], slope: Callable[..., Tensor]) -> Tensor:
    return (function(a) + function(b)) / 2 + (a + b) / 2 * slope(a, b)


def _divided(difference: Tensor, distance: Tensor, limit: Tensor) -> Tensor:
    same = distance == 0
    return torch.where(same, limit, difference / torch.where(same, 1, distance))


def _bell(x: Tensor) -> Tensor:
    return 2 / math.sqrt(math.pi) * torch.exp(-x * x)


def _sinc(distance: Tensor) -> Tensor:
    half = distance / 2
    return _divided(half.sin(), half, torch.ones_like(half))


def _log_sinhc(x: Tensor) -> Tensor:
    """Return log(sinh(x) / x)."""
    size = x.abs()
    return size + torch.log(_divided(-torch.expm1(-2 * size), 2 * size, torch.ones_like(size)))
