"""AdaptivePrecision in trainings as people write them: accumulated, checkpointed, clipped, scaled, partly compiled."""

import pytest
import torch
from adaptive_steps import Checkpointed, make, state, step

from deepseek.kernels.precision import AdaptivePrecision


def test_accumulation_measures_all_parts_of_a_step():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        step(model, optimizer, parts=4)
        assert len(precision.plans) == 1
        counts = precision._decider._evidence[0].counts
    assert counts["input"].numel == 4 * 16 * 32
    assert counts["weight_gradient"].numel == 4 * (32 * 32 + 32)


@pytest.mark.parametrize("emulate", [True, False])
@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_changes_nothing(emulate, reentrant):
    losses, plans = [], []
    for how in (None, reentrant):
        model, optimizer = make(lambda how=how: Checkpointed(how))
        with AdaptivePrecision(model, optimizer, policy="half", every_epochs=2, emulate=emulate) as precision:
            losses.append([])
            for seed in range(4):
                losses[-1].append(step(model, optimizer, seed))
                losses[-1].append(step(model, optimizer, seed))
                precision.end_epoch()
            plans.append(precision.plans)
    assert losses[0] == losses[1]
    assert plans[0] == plans[1]


@pytest.mark.slow
@pytest.mark.parametrize("emulate", [True, False])
@pytest.mark.parametrize("reentrant", [None, False])
def test_modules_within_the_model_may_be_compiled(emulate, reentrant):
    losses, first_plans = [], []
    for compiled in (False, True):
        model, optimizer = make(lambda: Checkpointed(reentrant))
        if compiled:
            model.body.compile()
        with AdaptivePrecision(model, optimizer, policy="half", every_epochs=2, emulate=emulate) as precision:
            losses.append([])
            for seed in range(4):
                losses[-1].append(step(model, optimizer, seed))
                losses[-1].append(step(model, optimizer, seed))
                precision.end_epoch()
            first_plans.append(precision.plans[0])
    assert first_plans[0] == first_plans[1]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_clipping_sees_unscaled_gradients():
    norms = []
    for scaled in (True, False):
        model, optimizer = make()
        scaler = torch.amp.GradScaler("cpu", enabled=scaled)
        with AdaptivePrecision(model, optimizer, policy="gradient_norm", scaler=scaler, emulate=True) as precision:
            step(model, optimizer, clip=1e-3, scaler=scaler)
        norms.append([decision.gradient_norm for decision in precision.plan.decisions])
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    assert sum(norm**2 for norm in norms[0]) ** 0.5 == pytest.approx(1e-3, rel=1e-2)


def test_the_scaler_takes_the_scale_that_was_decided_for():
    model, optimizer = make()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    with AdaptivePrecision(model, optimizer, scaler=scaler, emulate=True) as precision:
        step(model, optimizer, scaler=scaler)
        assert precision.plan.loss_scale < 2.0**24
        assert precision.plan.half_frac == 1
        step(model, optimizer, scaler=scaler)
        assert scaler.get_scale() == precision.plan.loss_scale


def test_a_loss_scale_that_falls_makes_it_measure_again():
    model, optimizer = make()
    scaler = torch.amp.GradScaler("cpu")
    with AdaptivePrecision(model, optimizer, scaler=scaler, emulate=True) as precision:
        step(model, optimizer, scaler=scaler)
        assert "head" not in {d.layer for d in precision.plan.decisions if d.dtype == "float32"}
        with torch.no_grad():
            model.body[2].bias.fill_(1e5)
        for seed in range(40):
            step(model, optimizer, seed, scaler=scaler)
        precisions = {decision.layer: decision.dtype for decision in precision.plan.decisions}
    assert len(precision.plans) > 1
    assert precisions["head"] == "float32"


WAYS = {
    "plain": (None, 1),
    "accumulated": (None, 4),
    "checkpointed": (False, 1),
    "checkpointed, reentrant": (True, 1),
    "accumulated and checkpointed": (False, 4),
}
"""How activations are checkpointed, and in how many parts gradients are accumulated."""


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", WAYS)
def test_a_scaled_and_clipped_training_is_that_of_float32(way, compiled):
    reentrant, parts = WAYS[way]
    found = {}
    for scaled in (True, False):
        model, optimizer = make(lambda: Checkpointed(reentrant))
        if compiled:
            model.body.compile()
        scaler = torch.amp.GradScaler("cpu", enabled=scaled)
        precision = AdaptivePrecision(model, optimizer, scaler=scaler, emulate=True) if scaled else None
        losses, norms = [], []
        for seed in range(6):
            losses.append(step(model, optimizer, seed, parts, 0.5, scaler))
            norms.append(float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm()))
        found[scaled] = losses, norms, torch.cat([value.flatten() for value in state(model)])
        if precision is not None:
            assert precision.plan.half_frac == 1
            assert scaler.get_scale() == precision.plan.loss_scale > 1
            precision.close()
    assert found[True][0] == pytest.approx(found[False][0], rel=2e-3)
    assert found[True][1] == pytest.approx(found[False][1], rel=5e-3)
    assert max(found[True][1]) < 0.5001
    assert torch.allclose(found[True][2], found[False][2], rtol=0, atol=1e-3)
    assert not torch.equal(found[True][2], found[False][2])


@pytest.mark.parametrize("parts", [1, 4])
def test_a_step_that_overflows_in_half_precision_is_skipped_and_training_goes_on(parts):
    model, optimizer = make()
    scaler = torch.amp.GradScaler("cpu")
    with AdaptivePrecision(model, optimizer, scaler=scaler, emulate=True) as precision:
        for seed in range(2):
            step(model, optimizer, seed, parts, 0.5, scaler)
        assert precision.plan.half_frac == 1
        before, scale = state(model), scaler.get_scale()
        step(model, optimizer, 2, parts, 0.5, scaler, size=1e6)
        assert all(torch.equal(a, b) for a, b in zip(state(model), before, strict=True))
        assert scaler.get_scale() == scale / 2
        step(model, optimizer, 3, parts, 0.5, scaler)
        assert not any(torch.equal(a, b) for a, b in zip(state(model), before, strict=True))


@pytest.mark.parametrize("parts", [1, 4])
def test_a_measured_step_that_was_skipped_is_measured_again(parts):
    model, optimizer = make()
    scaler = torch.amp.GradScaler("cpu")
    with AdaptivePrecision(model, optimizer, scaler=scaler, emulate=True) as precision:
        step(model, optimizer, 0, parts, scaler=scaler, size=float("nan"))
        assert not precision.plans
        step(model, optimizer, 1, parts, scaler=scaler)
        assert precision.plan.half_frac == 1
        assert precision._decider._evidence[0].counts["input"].numel == parts * 16 * 32
