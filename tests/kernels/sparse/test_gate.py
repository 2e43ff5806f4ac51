"""What a sparse gate decides, and what it learns from."""

import copy

import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward, SparseGate, active_frac, calibrate_gates, forced_share, gate_decisions


def test_a_block_is_active_where_its_gate_exceeds_the_threshold():
    gate = SparseGate(6, 4, threshold=0.6).eval()
    x = torch.randn(50, 6)
    expected = torch.sigmoid(x @ gate.weight.t() + gate.bias) > 0.6
    assert torch.equal(gate(x).bool(), expected)


@pytest.mark.parametrize("seed", range(5))
def test_the_active_blocks_of_an_ordered_gate_are_the_first_ones(seed):
    torch.manual_seed(seed)
    gate = SparseGate(6, 8, ordered=True).eval()
    nn.init.normal_(gate.bias[1:], std=3)
    mask = gate(torch.randn(200, 6) * 20)
    assert (mask.diff(dim=1) <= 0).all()
    assert len(mask.sum(1).unique()) > 2


@pytest.mark.parametrize("ordered", [False, True])
def test_gradients_pass_straight_through_the_decision(ordered):
    gate = SparseGate(6, 4, ordered=ordered).double().train()
    x = torch.randn(9, 6, dtype=torch.float64)
    weights = torch.randn(9, 4, dtype=torch.float64)
    found = torch.autograd.grad((gate(x) * weights).sum(), gate.weight)[0]
    expected = torch.autograd.grad((gate.gates(x) * weights).sum(), gate.weight)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("training", [False, True])
def test_a_decision_is_exactly_zero_or_one(training):
    gate = SparseGate(6, 8).train(training)
    assert set(gate(torch.randn(1000, 6)).unique().tolist()) == {0.0, 1.0}


def test_nan_is_not_hidden_by_closed_blocks():
    layer = SparseFeedForward(4, 8, blocks=2).eval()
    assert layer(torch.full((1, 4), torch.nan)).isnan().all()


def test_the_threshold_is_saved_with_the_weights():
    gate, other = SparseGate(3, 2, threshold=0.7), SparseGate(3, 2)
    other.load_state_dict(gate.state_dict())
    assert float(other.threshold) == pytest.approx(0.7)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.95])
def test_an_opened_gate_is_open_for_every_input(ordered, threshold):
    gate = SparseGate(3, 5, threshold=threshold, ordered=ordered).eval()
    gate.open_all()
    assert gate(torch.randn(100, 3) * 100).all()


@pytest.mark.parametrize(("share", "blocks"), [(0.0, 0), (0.3, 2), (0.5, 4), (1.0, 8)])
def test_a_forced_share_opens_the_first_blocks_of_every_gate_and_is_taken_back(share, blocks):
    gate = SparseGate(3, 8).eval()
    x = torch.randn(5, 3)
    before = gate(x)
    with forced_share(gate, share):
        assert torch.equal(gate(x), (torch.arange(8) < blocks).float().expand(5, 8))
    assert torch.equal(gate(x), before)


def test_decisions_tell_blocks_margin_and_share_of_each_sample():
    model = nn.Sequential(SparseFeedForward(4, 16, blocks=4), SparseFeedForward(4, 16, blocks=2)).train()
    x = torch.randn(6, 3, 4)
    decisions = gate_decisions(model, x)
    assert list(decisions) == ["0.gate", "1.gate"]
    first = decisions["0.gate"]
    assert torch.equal(first.active, first.margin > 0)
    assert torch.equal(first.active, model[0].gate.eval()(x).bool())
    assert torch.equal(first.active_frac, first.active.double().mean((1, 2)))
    both = torch.stack([decision.active_frac for decision in decisions.values()]).mean(0)
    assert torch.equal(active_frac(model, x), both)


def test_looking_at_decisions_leaves_modes_and_gradients_alone():
    model = nn.Sequential(SparseFeedForward(4, 16, blocks=4), nn.Dropout()).train()
    model[1].eval()
    gate_decisions(model, torch.randn(2, 4))
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_copy_of_a_used_model_is_independent():
    layer = SparseFeedForward(4, 8, blocks=2)
    x = torch.randn(3, 4)
    layer(x).sum().backward()
    twin = copy.deepcopy(layer)
    assert torch.equal(twin.eval()(x), layer.eval()(x))


@pytest.mark.parametrize("target", [0.25, 0.5, 0.8])
def test_calibration_reaches_the_wanted_activation(target):
    torch.manual_seed(0)
    model = nn.Sequential(SparseFeedForward(16, 64), SparseFeedForward(16, 64))
    x = torch.randn(500, 16)
    threshold = calibrate_gates(model, [x[:250], x[250:]], target=target)
    assert float(active_frac(model, x).mean()) == pytest.approx(target, abs=0.01)
    assert float(model[0].gate.threshold) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: SparseGate(3, 2, threshold=1.5), "threshold between 0 and 1, got 1.5"),
        (lambda: gate_decisions(nn.Linear(2, 2), torch.ones(1, 2)), "Linear has no sparse gates"),
        (lambda: forced_share(SparseGate(3, 2), 2).__enter__(), "share from 0 to 1, got 2"),
        (lambda: calibrate_gates(SparseGate(3, 2), [], target=0.5), "at least one batch"),
    ],
)
def test_what_does_not_fit_is_named(action, sentence):
    with pytest.raises(DeepseekError, match=sentence):
        action()
