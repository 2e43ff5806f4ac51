"""AdaptivePrecision: what it computes, what it leaves alone, and that it works with what trainings use."""

import copy
import io
import logging

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from training import CASES

from deepseek.errors import DeepseekError
from deepseek.kernels.precision import AdaptivePrecision, Decision, Plan, damage, plans_of, rounded
from deepseek.kernels.precision.plan import decide


class Checkpointed(nn.Module):
    def __init__(self, reentrant=None):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 32))
        self.head = nn.Linear(32, 10)
        self.reentrant = reentrant

    def forward(self, x):
        if self.reentrant is None:
            return self.head(self.body(x))
        return self.head(checkpoint(self.body, x.requires_grad_(), use_reentrant=self.reentrant))


def make(model=Checkpointed):
    torch.manual_seed(0)
    model = model()
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def step(model, optimizer, seed=0, parts=1, clip=None, scaler=None, width=32):
    torch.manual_seed(seed)
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    optimizer.zero_grad()
    for _ in range(parts):
        loss = F.cross_entropy(model(torch.randn(16, width)), torch.randint(10, (16,)))
        scaler.scale(loss).backward()
    if clip is not None:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()


def half_but(*names):
    """A policy: half precision but for these layers."""

    def policy(layers, situation):
        chosen = {layer.layer: torch.float32 if layer.layer in names else situation.half for layer in layers}
        decisions = [decide(layer, chosen[layer.layer], "a test", damage(layer, situation.half)) for layer in layers]
        return Plan(situation.epoch, "half_but", "float16", situation.loss_scale, float("nan"), tuple(decisions))

    return policy


def state(model):
    return [value.clone() for value in model.state_dict().values()]


@pytest.mark.parametrize("case", CASES)
def test_the_measured_step_is_the_float32_step_to_the_last_bit(case):
    torch.manual_seed(0)
    model = CASES[case][0]()
    twin = copy.deepcopy(model)
    for each, controlled in ((model, True), (twin, False)):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1)
        torch.manual_seed(1)
        precision = AdaptivePrecision(each, optimizer, policy="half", emulate=True) if controlled else None
        F.cross_entropy(each(CASES[case][1]()), torch.arange(len(CASES[case][1]())) % 10).backward()
        optimizer.step()
        if precision is not None:
            assert len(precision.plans) == 1
            precision.close()
    assert all(torch.equal(a, b) for a, b in zip(state(model), state(twin), strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_everywhere_is_autocast(dtype):
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, policy="half", dtype=dtype):
        step(model, optimizer)
        twin = copy.deepcopy(model)
        x = torch.randn(4, 32)
        ours = model(x)
        with torch.autocast("cpu", dtype=dtype):
            theirs = twin(x)
    assert ours.dtype is torch.float32
    assert theirs.dtype is dtype
    assert torch.equal(ours, theirs.float())


def test_layers_in_float32_leave_autocast():
    model, optimizer = make()
    seen = {}
    for name, layer in model.named_modules():
        layer.register_forward_hook(lambda _m, inputs, output, name=name: seen.update({name: output.dtype}))
    with AdaptivePrecision(model, optimizer, policy=half_but("body.2")):
        step(model, optimizer)
        model(torch.randn(4, 32))
    assert (seen["body.0"], seen["body.2"], seen["head"]) == (torch.float16, torch.float32, torch.float16)
    assert seen[""] is torch.float32


def test_emulation_rounds_inputs_parameters_outputs_and_their_gradients():
    model, optimizer = make(lambda: nn.Sequential(nn.Linear(32, 10)))
    with AdaptivePrecision(model, optimizer, policy="half", emulate=True):
        step(model, optimizer)
        x, seed = torch.randn(8, 32, requires_grad=True), torch.randn(8, 10)
        output = model(x)
        output.backward(seed)
        ours = [output, x.grad.clone(), model[0].weight.grad]
    linear, half = model[0], torch.float16
    weight = rounded(linear.weight.detach(), half)
    theirs = [
        rounded(F.linear(rounded(x.detach(), half), weight, rounded(linear.bias.detach(), half)), half),
        rounded(rounded(seed, half) @ weight, half),
        rounded(rounded(seed, half).t() @ rounded(x.detach(), half), half),
    ]
    model.zero_grad()
    assert torch.equal(ours[0], theirs[0])
    assert torch.allclose(ours[1], theirs[1], rtol=1e-3, atol=0)


@pytest.mark.parametrize("case", CASES)
def test_emulation_is_near_the_arithmetic_itself(case):
    """The operations between layers stay in float32, and additions have another order."""
    torch.manual_seed(0)
    model = CASES[case][0]().eval()
    if case == "transformer":
        model.requires_grad_(True)
        model.train()
        for part in model.modules():
            part.p = 0.0 if isinstance(part, nn.Dropout) else getattr(part, "p", None)
            part.dropout = 0.0 if isinstance(part, nn.MultiheadAttention) else getattr(part, "dropout", None)
    x, outputs = CASES[case][1](), {}
    for emulate in (True, False):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        with AdaptivePrecision(model, optimizer, policy="half", emulate=emulate):
            outputs["float32"] = model(x)
            outputs["float32"].sum().backward()
            optimizer.step()
            outputs[emulate] = model(x)
    scale = float(outputs["float32"].detach().abs().max())
    if case != "lstm":  # torch has no half-precision recurrent layers on processors
        assert not torch.equal(outputs[True], outputs["float32"])
    assert torch.allclose(outputs[True], outputs[False], rtol=0, atol=3e-3 * scale)


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


def test_accumulation_measures_all_parts_of_a_step():
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        step(model, optimizer, parts=4)
        assert len(precision.plans) == 1
        counts = precision._evidence[0].counts
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


@pytest.mark.slow
def test_a_compiled_model_is_refused():
    model, optimizer = make()
    with pytest.raises(DeepseekError, match="Compile the modules within it"):
        AdaptivePrecision(torch.compile(model), optimizer)
    model.compile()
    with pytest.raises(DeepseekError, match="Compile the modules within it"):
        AdaptivePrecision(model, optimizer)


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


def test_without_a_faster_half_all_stays_in_float32_and_it_says_so(caplog, monkeypatch):
    monkeypatch.setattr("deepseek.kernels.precision.adaptive.half_speedup", lambda *_: 0.02)
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


def test_a_recurrent_layer_has_its_own_weights_again_after_each_call():
    torch.manual_seed(0)
    model = CASES["lstm"][0]().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    x = CASES["lstm"][1]()
    exact = model(x)
    with AdaptivePrecision(model, optimizer, policy="half", emulate=True):
        model(x).sum().backward()
        optimizer.step()
        assert not torch.equal(model(x), exact)
    assert torch.equal(model(x), exact)
    assert all(isinstance(weight, nn.Parameter) for weight in model.lstm._flat_weights)


def test_a_measurement_that_fails_does_not_reach_training(caplog, monkeypatch):
    def fail(_tensor):
        raise RuntimeError("cannot count")

    monkeypatch.setattr("deepseek.kernels.precision.survey.count_exponents", fail)
    model, optimizer = make()
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        step(model, optimizer)
    assert precision.plan is None
    assert "deciding on precision failed (RuntimeError: cannot count)" in caplog.text
