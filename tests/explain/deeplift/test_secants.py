"""Slopes of secants against the plain quotient in much higher precision than theirs."""

import mpmath
import pytest
import torch
from torch.nn import functional as F

from deepseek.explain.deeplift import secants
from deepseek.explain.deeplift.rules import UNARY

aten = torch.ops.aten
mp = mpmath.mp


def _sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def _softplus(x):
    return x if x > 20 else mp.log(1 + mp.exp(x))  # as torch has it


def _clamped(low, high):
    return lambda x: min(max(x, mp.mpf(low)), mp.mpf(high))


def _leaky(slope):
    return lambda x: x if x > 0 else x * mp.mpf(slope)


def _gelu_tanh(x):
    return x * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf(0.044715) * x**3))) / 2


SMOOTH = {
    "celu": ((2.0,), lambda x: x if x > 0 else 2 * (mp.exp(x / 2) - 1)),
    "cos": ((), mp.cos),
    "erf": ((), mp.erf),
    "exp": ((), mp.exp),
    "expm1": ((), mp.exp),
    "gelu": ((), lambda x: x * mp.ncdf(x)),
    "mish": ((), lambda x: x * mp.tanh(_softplus(x))),
    "sigmoid": ((), _sigmoid),
    "silu": ((), lambda x: x * _sigmoid(x)),
    "sin": ((), mp.sin),
    "softplus": ((), _softplus),
    "square": ((), lambda x: x * x),
    "tanh": ((), mp.tanh),
    "elu": ((), lambda x: x if x > 0 else mp.exp(x) - 1),
    "hardswish": ((), lambda x: x * _clamped(0, 6)(x + 3) / 6),
    "pow": ((3,), lambda x: x**3),
}
POSITIVE = {
    "log": mp.log,
    "log1p": lambda x: mp.log(1 + x),
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "sqrt": mp.sqrt,
}
KINKED = {
    "_prelu_kernel": ((torch.tensor(0.3, dtype=torch.float64),), _leaky(0.3)),
    "abs": ((), abs),
    "clamp": ((-1, 1), _clamped(-1, 1)),
    "clamp_max": ((1,), _clamped("-inf", 1)),
    "clamp_min": ((-1,), _clamped(-1, "inf")),
    "hardsigmoid": ((), lambda x: _clamped(0, 6)(x + 3) / 6),
    "hardtanh": ((), _clamped(-1, 1)),
    "leaky_relu": ((0.01,), _leaky(0.01)),
    "relu": ((), _clamped(0, "inf")),
}
DISTANCES = [0.0, 1e-12, 1e-7, 1e-4, 3e-3, 0.05, 0.3, 1.0, 4.0, 30.0]
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-6}


def test_every_function_of_one_number_is_checked_here():
    assert set(UNARY) == set(SMOOTH) | set(POSITIVE) | set(KINKED)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_slopes_are_exact_however_near_row_and_reference_are(name, dtype):
    rest, exact = (SMOOTH | KINKED)[name]
    _check(UNARY[name], rest, exact, [-8.0, -2.5, -0.7, 0.013, 0.4, 1.7, 6.0], dtype)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", POSITIVE)
def test_slopes_are_exact_for_functions_of_positive_numbers(name, dtype):
    _check(UNARY[name], (), POSITIVE[name], [1e-3, 0.4, 1.7, 60.0], dtype)


@pytest.mark.parametrize("exponent", [-2, -1, -0.5, 0, 0.5, 1, 1.7, 2, 5])
def test_slopes_of_powers(exponent):
    _check(secants.power, (exponent,), lambda x: x ** mp.mpf(exponent), [0.4, 1.7], torch.float64)


def test_slopes_of_gelu_by_tanh():
    _check(lambda a, b: secants.gelu(a, b, approximate="tanh"), (), _gelu_tanh, [-2.0, 0.1, 3.0], torch.float64)


@pytest.mark.parametrize(("a", "b"), [(80.0, -80.0), (0.0, -200.0), (-200.0, 0.0), (3.0, 3.0)])
def test_slopes_of_the_exponential_far_apart_do_not_overflow(a, b):
    slope = secants.exp(torch.tensor(a), torch.tensor(b)).item()
    assert slope == pytest.approx(float(_quotient(mp.exp, a, b)), rel=1e-6)


def test_slopes_of_a_logsumexp_share_out_its_whole_change_also_far_apart_and_with_masks():
    a = torch.tensor([0.0, 300.0, -torch.inf, 5.0])
    b = torch.tensor([1.0, -300.0, -torch.inf, 5.0])
    slopes, p, q = secants.log_mean_exp_weights(a, b, 0)
    change = (a - b).nan_to_num(0)
    assert (slopes * change).sum().item() == pytest.approx((a.logsumexp(0) - b.logsumexp(0)).item(), rel=1e-5)
    assert torch.equal(p, F.log_softmax(a, 0))
    assert torch.equal(q, F.log_softmax(b, 0))


def _check(secant, rest, exact, points, dtype):
    a = torch.tensor([point + distance for point in points for distance in DISTANCES], dtype=dtype)
    b = torch.tensor([point for point in points for _ in DISTANCES], dtype=dtype)
    rest = tuple(x.to(dtype) if isinstance(x, torch.Tensor) else x for x in rest)
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    expected = torch.tensor([float(_quotient(exact, *pair)) for pair in pairs], dtype=torch.float64)
    for found in (secant(a, b, *rest), secant(b, a, *rest)):
        error = (found.double() - expected).abs()
        assert (error / (expected.abs() + 1)).max() < TOLERANCES[dtype]


def _quotient(exact, a, b):
    with mp.workdps(60):
        a, b = mp.mpf(a), mp.mpf(b)
        return mp.diff(exact, a) if a == b else (exact(a) - exact(b)) / (a - b)
