"""What we rely on in torch: one test for each fact about hooks and autograd that the probes are built on."""

import ast
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from ordinary import INPUTS, counts, hooks, make, same, state, step, watch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from zoo import CNN, Checkpointed

from deepseek.inspector import inspect
from deepseek.inspector.probes import probe

REPOSITORY = Path(__file__).parents[2]
BACKWARD_HOOKS = ("register_full_backward_hook", "register_full_backward_pre_hook", "register_backward_hook")


def test_no_module_backward_hook_is_named_in_the_code():
    rooms = ("deepseek", "explain", "inspector", "kernels", "widgets")
    trees = [ast.parse(path.read_text()) for room in rooms for path in (REPOSITORY / room).rglob("*.py")]
    named = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not named & {*BACKWARD_HOOKS, *(f"register_module_{name[9:]}" for name in BACKWARD_HOOKS)}


def test_no_module_has_a_backward_hook_while_a_step_is_observed(tmp_path, monkeypatch):
    model, optimizer = make()
    for name in BACKWARD_HOOKS:
        monkeypatch.setattr(nn.Module, name, lambda *_args, **_kwargs: pytest.fail("a module backward hook"))
    with watch(model, optimizer, tmp_path):
        step(model, optimizer)
        assert hooks(model) > 0
        assert not any(module._backward_hooks or module._backward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("seed", range(20))
def test_gradients_keep_every_bit_whatever_the_seed(tmp_path, seed):
    gradients = []
    for watched in (False, True):
        torch.manual_seed(seed)
        model = CNN()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        session = watch(model, optimizer, tmp_path, rules=[]) if watched else None
        F.cross_entropy(model(torch.randn(4, 1, 8, 8)), torch.randint(10, (4,))).backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
        if session is not None:
            session.close()
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_every_hook_on_the_model_returns_none(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path):
        step(model, optimizer)
        output = model[0](INPUTS)
        for module in model.modules():
            for hook in module._forward_hooks.values():
                assert hook(module, (INPUTS,), output) is None
        for parameter in model.parameters():
            assert [hook(parameter) for hook in parameter._post_accumulate_grad_hooks.values()] != []
            assert {hook(parameter) for hook in parameter._post_accumulate_grad_hooks.values()} == {None}


def test_what_a_probe_returns_by_mistake_replaces_nothing(tmp_path, monkeypatch):
    model, optimizer = make()
    expected = model(INPUTS)
    with watch(model, optimizer, tmp_path):
        for hook in model[0]._forward_hooks.values():
            monkeypatch.setattr(type(hook), "observe", lambda *_: torch.zeros(8, 8))
        assert torch.equal(model(INPUTS), expected)


def test_an_output_that_is_overwritten_later_was_summarised_before(tmp_path):
    class Overwriting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 8)

        def forward(self, x):
            y = self.linear(x)
            return y.mul_(0).add_(1)

    model = Overwriting()
    lowest = model.linear(INPUTS).min().item()
    with watch(model, None, tmp_path) as session:
        model(INPUTS)
    row = session.frame("activation").query("site == 'linear'")
    assert lowest < 0
    assert row["min"].item() == pytest.approx(lowest, rel=1e-6)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpointed_step_is_counted_once(tmp_path, reentrant):
    torch.manual_seed(0)
    model = Checkpointed(reentrant)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs = torch.randn(8, 64, requires_grad=True)
    with watch(model, optimizer, tmp_path) as session:
        for _ in range(2):
            step(model, optimizer, inputs)
    layers = {f"body.layers.{number}": 1 for number in range(5)}
    weights = {f"body.layers.{number}.{name}": 1 for number in (0, 2, 4) for name in ("weight", "bias")}
    assert session.status.step == 2
    assert counts(session) == {0: layers, 1: layers}
    assert counts(session, "activation_gradient") == {0: layers, 1: layers}
    assert counts(session, "gradient") == {0: weights, 1: weights}


def compiled_run(folder=None, *, attach_first=False, steps=8):
    """Train a compiled model; return it, its session, and how many graphs were compiled."""
    torch._dynamo.reset()
    model, optimizer = make()
    counter = CompileCounterWithBackend("aot_eager")
    session = watch(model, optimizer, folder, every=2) if folder and attach_first else None
    compiled = torch.compile(model, backend=counter)
    for number in range(steps):
        if folder and not attach_first and number == 2:
            session = watch(model, optimizer, folder, every=2)
        optimizer.zero_grad()
        compiled(INPUTS).square().mean().backward()
        optimizer.step()
    if session is not None:
        session.close()
    return model, session, counter.frame_count


@pytest.mark.parametrize("attach_first", [True, False])
def test_a_compiled_model_is_compiled_once_under_a_session(tmp_path, attach_first):
    plain, _, graphs = compiled_run()
    watched, _, watched_graphs = compiled_run(tmp_path, attach_first=attach_first)
    assert graphs == watched_graphs == 1
    assert same(state(plain), state(watched))


@pytest.mark.parametrize("attach_first", [True, False])
def test_gradients_of_a_compiled_model_are_recorded(tmp_path, attach_first):
    _, session, _ = compiled_run(tmp_path, attach_first=attach_first)
    rows = counts(session, "gradient")
    assert len(rows) >= 2
    assert all(found == {"0.weight": 1, "0.bias": 1, "2.weight": 1, "2.bias": 1} for found in rows.values())


def fused_calls(monkeypatch, model, inputs):
    """How many layers of a transformer take the fused path in a forward without gradients."""
    calls = []
    fused = torch._transformer_encoder_layer_fwd
    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", lambda *args: calls.append(1) or fused(*args))
    model.eval()
    with torch.no_grad():
        output = model(inputs)
    model.train()
    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", fused)
    return len(calls), output


def encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = nn.Sequential(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), nn.Linear(8, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(4, 6, 8)


def test_an_evaluation_that_is_not_observed_keeps_the_fused_path(tmp_path, monkeypatch):
    model, optimizer, inputs = encoder()
    assert fused_calls(monkeypatch, model, inputs)[0] == 3
    with watch(model, optimizer, tmp_path) as session:
        step(model, optimizer, inputs)
        session.watching = False
        assert fused_calls(monkeypatch, model, inputs)[0] == 3
        session.watching = True
        observed, output = fused_calls(monkeypatch, model, inputs)
    calls, expected = fused_calls(monkeypatch, model, inputs)
    assert (observed, calls) == (0, 3)
    torch.testing.assert_close(output, expected)


def test_steps_between_observed_ones_leave_no_hook_that_switches_the_fused_path_off(tmp_path, monkeypatch):
    model, optimizer, inputs = encoder()
    kinds = ["activation", "gradient"]
    with watch(model, optimizer, tmp_path, every=1000, kinds=kinds):
        for _ in range(3):
            step(model, optimizer, inputs)
        assert fused_calls(monkeypatch, model, inputs)[0] == 3


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.twice = nn.Linear(8, 8)
        self.head = nn.Linear(8, 16, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.twice(self.twice(self.embed(tokens))))


def test_a_tied_weight_is_recorded_once_a_backward_and_a_module_used_twice_is_two_calls(tmp_path):
    model = Tied()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, tmp_path) as session:
        optimizer.zero_grad()
        for _ in range(2):
            model(torch.arange(4)).square().mean().backward()
        optimizer.step()
    gradients = session.frame("gradient").query("site == 'embed.weight'")
    assert list(gradients["call"]) == [0, 1]
    assert gradients["l2"].iloc[-1] == pytest.approx(model.embed.weight.grad.norm().item(), rel=1e-5)
    assert list(session.frame("activation").query("site == 'twice'")["call"]) == [0, 1, 2, 3]
    assert counts(session, "update")[0] == {"embed.weight": 1, "twice.weight": 1, "twice.bias": 1}


def test_the_keys_of_a_state_are_those_of_the_bare_model(tmp_path):
    model, optimizer = make(nn.BatchNorm1d(8))
    keys, optimizer_keys = list(model.state_dict()), set(optimizer.state_dict())
    with watch(model, optimizer, tmp_path):
        step(model, optimizer)
        assert list(model.state_dict()) == keys
        assert set(optimizer.state_dict()) == optimizer_keys


def test_hooks_are_picklable_and_come_back_as_functions_that_do_nothing(tmp_path):
    model, optimizer = make()
    with watch(model, optimizer, tmp_path):
        installed = [hook for module in model.modules() for hook in module._forward_hooks.values()]
        assert installed
        for hook in installed:
            restore, arguments = hook.__reduce__()
            assert isinstance(hook, probe.Probe)
            assert restore(*arguments)(model, (), None) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_norm_of_600_does_not_overflow_half_precision(tmp_path, dtype):
    model = nn.Linear(64, 8, bias=False).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    size = 600 / 512**0.5
    with watch(model, optimizer, tmp_path) as session:
        (model.weight * torch.full_like(model.weight, size)).sum().backward()
        expected = model.weight.grad.double().norm().item()
        optimizer.step()
    assert not torch.isfinite(model.weight.grad.square().sum()) or dtype is torch.bfloat16
    assert session.frame("gradient")["l2"].item() == pytest.approx(expected, rel=1e-6)
    assert next(session.records()).gradient_norm == pytest.approx(expected, rel=1e-5)


def test_the_extremes_of_an_empty_tensor_are_not_applicable(tmp_path):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    with watch(model, None, tmp_path) as session:
        model(INPUTS[:0])
    rows = session.frame("activation")
    assert list(rows["numel"]) == [0, 0]
    assert rows[["min", "max", "mean"]].isna().all(axis=None)


def scaled_step(model, optimizer, scaler, factor=1.0, clip=None):
    optimizer.zero_grad()
    scaler.scale(model(INPUTS * factor).square().mean()).backward()
    scaler.unscale_(optimizer)
    before = {name: p.grad.norm().item() for name, p in model.named_parameters()}
    if clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    after = {name: p.grad.norm().item() for name, p in model.named_parameters()}
    scaler.step(optimizer)
    scaler.update()
    return before, after


def test_scaled_gradients_are_recorded_unscaled_before_and_after_clipping(tmp_path):
    model, optimizer = make()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    with watch(model, optimizer, tmp_path) as session:
        before, after = scaled_step(model, optimizer, scaler, clip=0.01)
    arrived = session.frame("gradient").set_index("site")["l2"]
    applied = session.frame("applied_gradient").set_index("site")["l2"]
    for name in before:
        assert arrived[name] == pytest.approx(before[name], rel=1e-5)
        assert applied[name] == pytest.approx(after[name], rel=1e-5)
        assert after[name] < before[name]


def test_a_step_that_the_scaler_skips_is_an_event_and_no_alarm(tmp_path):
    model, optimizer = make()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    with watch(model, optimizer, tmp_path) as session:
        for factor in (1.0, 1e30, 1.0, 1.0):
            scaled_step(model, optimizer, scaler, factor)
    events = session.frame("event").query("kind == 'step_skipped'")
    assert session.status.step == 4
    assert list(events["step"]) == [1]
    assert json.loads(events["data"].iloc[0])["reason"]
    assert set(counts(session, "update")) == {0, 2, 3}


def test_steps_of_the_optimizer_are_the_steps_of_the_session(tmp_path):
    model, optimizer = make()
    method = type(optimizer).step
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for _ in range(3):
            for _ in range(2):
                model(INPUTS).square().mean().backward()
            optimizer.step()
        assert type(optimizer).step is method
        assert "step" not in vars(optimizer)
        assert len(optimizer._optimizer_step_pre_hooks) == len(optimizer._optimizer_step_post_hooks) == 1
    assert session.status.step == 3
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


class Decayed(torch.optim.SGD):
    """An optimizer whose step calls that of its base class: torch runs the hooks of both."""

    @torch.no_grad()
    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            parameter.mul_(0.99)
        return super().step(closure)


def test_a_step_that_calls_the_step_of_its_base_class_counts_once(tmp_path):
    torch.optim.SGD([nn.Parameter(torch.ones(1))])
    model, _ = make()
    optimizer = Decayed(model.parameters(), lr=0.1)
    with watch(model, optimizer, tmp_path) as session:
        for _ in range(3):
            before = model[0].weight.detach().clone()
            step(model, optimizer)
        moved = (model[0].weight - before).norm().item()
    assert session.status.step == 3
    assert session.frame("event").query("kind == 'step_interrupted'").empty
    update = session.frame("update").query("site == '0.weight'")
    assert list(update["step"]) == [0, 1, 2]
    assert update["l2"].iloc[-1] == pytest.approx(moved, rel=1e-4)
