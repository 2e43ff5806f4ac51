"""What AdaptivePrecision computes: float32 while it measures, autocast with islands, or half precision emulated."""

import copy

import pytest
import torch
import torch.nn.functional as F
from adaptive_steps import half_but, make, state, step
from torch import nn
from training import CASES

from deepseek.kernels.precision import AdaptivePrecision, rounded


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_noise_that_is_measured_is_what_casting_adds(dtype):
    """Of a bias nothing is measured: it has no units to tell apart."""
    model, optimizer = make(lambda: nn.Sequential(nn.Linear(32, 10)))
    nn.init.constant_(model[0].bias, 300.0)
    seen = {"weight": model[0].weight.detach().clone()}
    model[0].register_forward_hook(lambda _m, inputs, output: seen.update(input=inputs[0], output=output.detach()))
    with AdaptivePrecision(model, optimizer, dtype=dtype, emulate=True) as precision:
        step(model, optimizer, size=1e-2)
        measured = precision._decider._evidence[0].noise[dtype]
    for role, values in seen.items():
        exact = values.double()
        expected = (exact - values.to(dtype).double()).square().sum() / (exact - exact.mean(0)).square().sum()
        assert expected > 0
        assert measured[role] == pytest.approx(float(expected), rel=1e-6)


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
