"""AdaptivePrecision: what it leaves alone, when it measures, what it tells, and what it refuses."""

import copy
import io
import logging

import pytest
import torch
import torch.nn.functional as F
from adaptive_steps import make, step
from torch import nn
from training import CASES

from deepseek.errors import DeepseekError
from deepseek.kernels.precision import AdaptivePrecision, Decision, plans_of


def test_parameters_and_optimizer_state_stay_float32():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, policy="half"):
        for seed in range(3):
            step(model, optimizer, seed)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {value.dtype for values in optimizer.state.values() for value in values.values()} == {torch.float32}


def test_nothing_is_left_after_close():
    model, optimizer = make(CASES["transformer"][0])
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    with AdaptivePrecision(model, optimizer):
        model(CASES["transformer"][1]()).sum().backward()
        assert "forward" in vars(model)
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before
    assert not optimizer._optimizer_step_pre_hooks
    assert not any(parameter._backward_hooks for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hooks_of_a_measured_step_go_with_it():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer):
        model(torch.randn(4, 32)).sum().backward()
        assert any(parameter._backward_hooks for parameter in model.parameters())
        optimizer.step()
        assert not any(parameter._backward_hooks for parameter in model.parameters())


def test_copies_and_pickles_of_the_model_are_plain():
    model, optimizer = make()
    buffer = io.BytesIO()
    with AdaptivePrecision(model, optimizer, policy="half"):
        step(model, optimizer)
        torch.save(model, buffer)
        copies = [copy.deepcopy(model), torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)]
    x = torch.randn(4, 32)
    for each in copies:
        assert torch.equal(each(x), model(x))
        assert each.body[0].forward.__self__ is each.body[0]


def test_another_forward_that_was_there_returns():
    model, optimizer = make()
    model.head.forward = lambda x: F.linear(x, model.head.weight)
    own = model.head.forward
    AdaptivePrecision(model, optimizer).close()
    assert model.head.forward is own


def test_when_it_measures():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, every_epochs=3, policy="half", emulate=True) as precision:
        for _ in range(8):
            step(model, optimizer)
            step(model, optimizer)
            precision.end_epoch()
    assert [plan.epoch for plan in precision.plans] == [0, 1, 3, 6]
    assert precision.plan is precision.plans[-1]


def test_forwards_without_gradients_are_not_taken_for_training():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer) as precision, torch.no_grad():
        model(torch.randn(4, 32))
        assert precision._survey is None


@pytest.mark.slow
def test_a_compiled_model_is_refused():
    model, optimizer = make()
    with pytest.raises(DeepseekError, match="Compile the modules within it"):
        AdaptivePrecision(torch.compile(model), optimizer)
    model.compile()
    with pytest.raises(DeepseekError, match="Compile the modules within it"):
        AdaptivePrecision(model, optimizer)


def test_without_a_faster_half_all_stays_in_float32_and_it_says_so(caplog, monkeypatch):
    monkeypatch.setattr("deepseek.kernels.precision.deciding.half_speedup", lambda *_: 0.02)
    model, optimizer = make()
    with caplog.at_level(logging.WARNING, "deepseek"), AdaptivePrecision(model, optimizer) as precision:
        step(model, optimizer)
    assert precision.plan.half_frac == 0
    assert "float16 is 50 times slower than float32 on this device" in caplog.text
    assert {decision.reason for decision in precision.plan.decisions} == {
        "float16 is 50 times slower than float32 on this device"
    }


def test_a_policy_that_fails_does_not_reach_training(caplog):
    def policy(_layers, _situation):
        raise ValueError("no")

    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, policy=policy, emulate=True) as precision:
        step(model, optimizer)
        step(model, optimizer)
    assert precision.plan is None
    assert "deciding on precision failed (ValueError: no)" in caplog.text


def test_plans_are_found_through_the_model():
    model, optimizer = make()
    assert plans_of(model) == ()
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        step(model, optimizer)
        assert plans_of(model) == precision.plans
        assert all(isinstance(decision, Decision) for decision in plans_of(model)[0].decisions)


def test_a_preview_applies_nothing():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        with pytest.raises(DeepseekError, match="needs one training step"):
            precision.preview("half")
        step(model, optimizer)
        other = precision.preview("gradient_norm", torch.bfloat16)
    assert (other.policy, other.half) == ("gradient_norm", "bfloat16")
    assert precision.plans != [other]


def test_frozen_layers_and_names_of_strangers():
    model = nn.Sequential()
    model.add_module("\x1b[31mred", nn.Linear(32, 32).requires_grad_(False))
    model.add_module("head", nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        step(model, optimizer)
        assert len(precision.plan.decisions) == 2
        assert "\x1b" not in str(precision.plan) + repr(precision) + precision.plan.table().to_string()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": "magic"}, "There is no policy 'magic'"),
        ({"dtype": torch.float32}, "`dtype` must be torch.float16"),
        ({"tau": 0}, "`tau` must be a gradient norm above 0"),
        ({"every_epochs": 0}, "`every_epochs` must be a whole number"),
        ({"optimizer": None}, "`optimizer` must be a torch.optim.Optimizer"),
        ({"model": 3}, "`model` must be a torch.nn.Module"),
        ({"model": nn.LayerNorm(3)}, "layers that multiply matrices"),
        ({"model": nn.LazyLinear(3)}, "call the model with one batch first"),
    ],
)
def test_wrong_arguments_change_nothing(wrong, message):
    model, optimizer = make()
    arguments = {"model": model, "optimizer": optimizer} | wrong
    with pytest.raises(DeepseekError, match=message):
        AdaptivePrecision(**arguments)
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_model_has_one_precision_at_a_time():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer), pytest.raises(DeepseekError, match="close the other"):
        AdaptivePrecision(model, optimizer)
    AdaptivePrecision(model, optimizer).close()


def test_a_measurement_that_fails_does_not_reach_training(caplog, monkeypatch):
    def fail(_tensor):
        raise RuntimeError("cannot count")

    monkeypatch.setattr("deepseek.kernels.precision.survey.count_exponents", fail)
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        step(model, optimizer)
    assert precision.plan is None
    assert "deciding on precision failed (RuntimeError: cannot count)" in caplog.text
