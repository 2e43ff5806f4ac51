"""Policies are functions from what was measured to decisions."""

import math
from dataclasses import replace

import pytest
import torch

from deepseek.kernels.precision import Evidence, Situation, count_exponents, damage
from deepseek.kernels.precision.policies import exponent, gradient_norm, half

HALF = torch.float16
SITUATION = Situation(epoch=0, half=HALF, loss_scale=1.0, scalable=False, speedup=None, tau=0.01, quantile=None)


def values(scale, size=1000):
    return torch.randn(size, generator=torch.Generator().manual_seed(0)) * scale


def evidence(layer="fc", *, norm=1.0, noise=0.0, noise_in="input", numel=10, **tensors):
    """A layer of which all tensors are about 1 but those that are given."""
    roles = ("input", "weight", "output", "output_gradient", "weight_gradient")
    counts = {role: count_exponents(tensors.get(role, values(1.0))) for role in roles}
    shares = {"input": 0.0, "weight": 0.0, "output": 0.0, noise_in: noise}
    return Evidence(layer, numel, counts, norm, dict.fromkeys([torch.float16, torch.bfloat16], shares))


def decision(layer, **situation):
    return exponent([layer], replace(SITUATION, **situation)).decisions[0]


def test_a_healthy_layer_goes_to_half():
    found = decision(evidence())
    assert (found.dtype, found.reason) == ("float16", "float16 loses next to nothing here")


@pytest.mark.parametrize("role", ["input", "weight", "output", "output_gradient", "weight_gradient"])
def test_what_nearly_overflows_stays_in_float32(role):
    found = decision(evidence(**{role: values(1.0).index_fill(0, torch.tensor([3]), 60000 / 16 * 1.1)}))
    assert found.dtype == "float32"
    assert found.reason == f"0.1% of its {role.replace('_', ' ')} would nearly overflow in float16"
    assert found.damage.overflow_frac == 0


@pytest.mark.parametrize("role", ["input", "weight", "output", "output_gradient", "weight_gradient"])
def test_what_overflows_stays_in_float32(role):
    found = decision(evidence(**{role: values(1.0).index_fill(0, torch.tensor([3]), 65520.0)}))
    assert found.dtype == "float32"
    assert found.reason == f"0.1% of its {role.replace('_', ' ')} would become infinite in float16"
    assert (found.damage.overflow_frac, found.damage.overflow_in) == (0.001, role.replace("_", " "))


@pytest.mark.parametrize("role", ["input", "weight", "output"])
def test_what_rounding_would_bury_stays_in_float32(role):
    found = decision(evidence(noise=0.05, noise_in=role))
    assert found.dtype == "float32"
    assert found.reason == f"rounding to float16 would bury what tells its {role}s apart: noise of 5%"
    assert (found.damage.noise_frac, found.damage.noise_in) == (0.05, role)


@pytest.mark.parametrize("role", ["output_gradient", "weight_gradient"])
def test_gradients_that_become_zero_or_subnormal_stay_in_float32(role):
    name = role.replace("_", " ")
    assert decision(evidence(**{role: values(1e-10)})).reason == f"100% of its {name} would become zero in float16"
    assert decision(evidence(**{role: values(2e-5)})).reason.endswith(f"of its {name} would lose precision in float16")
    assert decision(evidence(**{role: values(2e-5)})).dtype == "float32"


def test_bfloat16_has_the_range_but_not_the_precision():
    assert decision(evidence(weight_gradient=values(1e-10)), half=torch.bfloat16).dtype == "bfloat16"
    assert "noise of 5%" in decision(evidence(noise=0.05), half=torch.bfloat16).reason


def test_a_loss_scale_is_found_that_serves_most_parameters():
    small = evidence("small", numel=100, weight_gradient=values(1e-9), output_gradient=values(1e-9))
    large = evidence("large", numel=10, weight_gradient=values(1e3), output_gradient=values(1e3))
    plan = exponent([small, large], replace(SITUATION, scalable=True))
    assert [found.dtype for found in plan.decisions] == ["float16", "float32"]
    assert plan.half_frac == pytest.approx(100 / 110)
    assert plan.decisions[0].damage == damage(small, HALF, plan.loss_scale)
    assert plan.decisions[0].damage.underflow_frac < 0.01


def test_the_present_loss_scale_stays_where_it_serves():
    assert exponent([evidence()], replace(SITUATION, loss_scale=8.0, scalable=True)).loss_scale == 8.0


def test_the_damage_is_what_casting_does():
    gradient = values(1e-7)
    found = damage(evidence(weight_gradient=gradient, output_gradient=gradient / 4), HALF)
    assert found.underflow_in == "output gradient"
    assert found.underflow_frac == int(((gradient / 4).to(HALF) == 0).sum()) / 1000
    assert found.subnormal_frac == int((gradient.to(HALF) != 0).sum()) / 1000


def test_layers_without_gradients_or_with_bad_ones_stay_in_float32():
    frozen = Evidence("fc", 10, {"weight": count_exponents(values(1.0))}, 0.0, {})
    assert decision(frozen).reason == "no gradient reached it"
    bad = evidence(weight_gradient=torch.tensor([math.nan, 1.0]))
    assert decision(bad).reason == "it has values that are NaN or infinite in float32"


def test_half_precision_that_is_not_faster_is_not_used():
    assert decision(evidence(), speedup=0.5).reason == "float16 is 2 times slower than float32 on this device"
    assert decision(evidence(), speedup=1.5).dtype == "float16"


def test_the_published_rule_goes_by_the_norm_alone():
    layers = [evidence("a", norm=0.009, weight_gradient=values(1e-10)), evidence("b", norm=0.01)]
    plan = gradient_norm(layers, SITUATION)
    assert [found.dtype for found in plan.decisions] == ["float16", "float32"]
    assert plan.decisions[0].reason == "gradient norm 0.009 is below tau = 0.01"
    assert plan.decisions[0].damage.underflow_frac == 1.0


def test_tau_follows_the_distribution_of_norms():
    layers = [evidence(str(place), norm=norm) for place, norm in enumerate([1e-6, 2e-6, 3e-6, 4e-6, 5e-6])]
    plan = gradient_norm(layers, replace(SITUATION, epoch=10, quantile=0.4))
    assert [found.dtype for found in plan.decisions] == ["float16", "float16", "float32", "float32", "float32"]
    assert plan.tau == pytest.approx(2.6e-6)


def test_half_takes_all_and_says_what_it_does():
    found = half([evidence(weight_gradient=values(1e-10))], SITUATION).decisions[0]
    assert (found.dtype, found.damage.underflow_frac) == ("float16", 1.0)
