"""Counts of active and saturated units equal brute force, unit by unit."""

from collections import defaultdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import CNN, MLP, FunctionalMLP

from deepseek.inspector import inspect
from deepseek.inspector.probes.units import BACKWARD_PASSES, BOUNDS, FEWEST_PASSES, FEWEST_SAMPLES


class Brute:
    """Clones every output of an activation function, to be counted the slow way."""

    def __init__(self, model, kinds=tuple(BOUNDS)):
        self.outputs = defaultdict(list)
        for name, module in model.named_modules():
            if type(module).__name__ in kinds:
                module.register_forward_hook(lambda _m, _a, out, name=name: self.see(name, out))

    def see(self, name, output):
        self.outputs[name].append(output.detach().clone())

    def counts(self, name, axis, active, saturated, start, samples):
        """Active and saturated samples of each unit in the outputs that make up so many samples."""
        rows = [out.movedim(axis, -1).flatten(0, -2) for out in self.outputs[name][start:]]
        rows = torch.cat(rows)[:samples]
        return active(rows).sum(0).numpy(), saturated(rows).sum(0).numpy(), rows


def train(model, optimizer, batch, steps, classes=10):
    for _ in range(steps):
        optimizer.zero_grad()
        inputs = batch()
        F.cross_entropy(model(inputs), torch.randint(classes, (len(inputs),))).backward()
        optimizer.step()


def windows(session, site):
    """The windows of one site, in order."""
    (index,) = [each.id for each in session.sites if each.name == site]
    return [counts for record in session.records() for counts in record.units if counts.site == index]


def never(rows):
    return torch.zeros_like(rows, dtype=torch.bool)


CASES = {
    "ReLU": (nn.ReLU, lambda y: y != 0, never),
    "ReLU6": (nn.ReLU6, lambda y: y != 0, lambda y: y >= 6),
    "GELU": (nn.GELU, lambda y: (y < -1e-3) | (y > 1e-3), never),
    "Sigmoid": (nn.Sigmoid, lambda y: ~never(y), lambda y: (y <= 0.01) | (y >= 0.99)),
    "Tanh": (nn.Tanh, lambda y: ~never(y), lambda y: (y <= -0.99) | (y >= 0.99)),
    "Hardtanh": (lambda: nn.Hardtanh(-2, 0.5), lambda y: ~never(y), lambda y: (y <= -2) | (y >= 0.5)),
    "ELU": (lambda: nn.ELU(0.5), lambda y: ~never(y), lambda y: y <= np.float32(-0.495)),
}


@pytest.mark.parametrize("case", CASES)
def test_modules(case, tmp_path):
    torch.manual_seed(0)
    make, active, saturated = CASES[case]
    model = nn.Sequential(nn.Linear(16, 32), make(), nn.Linear(32, 10))
    with torch.no_grad():
        model[0].weight.mul_(8)
        model[0].bias[:7] = -1e3
        model[0].bias[7:12] = 1e3
    brute = Brute(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(150, 16), 3 * 7)
        found = windows(session, "1")
        table = session.frame("unit")
    assert len(found) == 3
    passes = 0
    for counts in found:
        expected = brute.counts("1", 1, active, saturated, passes, counts.samples)
        passes += counts.samples // 150
        assert counts.samples >= FEWEST_SAMPLES
        assert np.array_equal(counts.active, expected[0])
        assert np.array_equal(counts.saturated, expected[1])
    row = table[table["site"] == "1"].iloc[-1]
    assert row["units"] == 32
    assert row["dead"] == (expected[0] == 0).sum()
    assert row["saturated"] == (expected[1] == counts.samples).sum()
    assert row["dead"] + row["saturated"] >= 5


def test_channels_of_convolutions_and_an_in_place_rectifier(tmp_path):
    torch.manual_seed(0)
    model = CNN()
    with torch.no_grad():
        model.features[1].bias[:5] = -50
    brute = Brute(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(4, 1, 8, 8), FEWEST_PASSES)
        (counts,) = windows(session, "features.2")
    expected, _, rows = brute.counts("features.2", 1, lambda y: y != 0, never, 0, counts.samples)
    assert counts.samples == len(rows) == FEWEST_PASSES * 4 * 64
    assert np.array_equal(counts.active, expected)
    assert (counts.active == 0).sum() == 5


@pytest.mark.parametrize("after_convolution", [True, False])
def test_three_dimensional_outputs_have_their_units_where_the_layer_before_puts_them(after_convolution, tmp_path):
    torch.manual_seed(0)
    layer = nn.Conv1d(6, 12, 3, padding=1) if after_convolution else nn.Linear(6, 12)
    model = nn.Sequential(layer, nn.Dropout(0.1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    shape = (8, 6, 40) if after_convolution else (8, 40, 6)
    model(torch.randn(shape))
    brute = Brute(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(shape), FEWEST_PASSES)
        (counts,) = windows(session, "2")
    expected, _, _ = brute.counts("2", 1 if after_convolution else 2, lambda y: y != 0, never, 0, counts.samples)
    assert counts.active.shape == (12,)
    assert np.array_equal(counts.active, expected)


def test_a_reused_rectifier_counts_each_of_its_calls(tmp_path):
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.relu = nn.Linear(8, 16), nn.Linear(16, 10), nn.ReLU()

        def forward(self, x):
            return self.relu(self.second(self.relu(self.first(x))))

    torch.manual_seed(0)
    model = Reused()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(256, 8), FEWEST_PASSES)
        assert [len(counts.active) for counts in windows(session, "relu")] == [16]
        assert [len(counts.active) for counts in windows(session, "relu:call1")] == [10]


def test_functions_are_counted_in_bursts(tmp_path):
    torch.manual_seed(0)
    model = FunctionalMLP(depth=2)
    with torch.no_grad():
        model.layers[0].bias[:9] = -1e3
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        layer_outputs = []
        model.layers[0].register_forward_hook(lambda _m, _a, out: layer_outputs.append(out.detach().clone()))
        train(model, optimizer, lambda: torch.randn(256, 64), 10 * FEWEST_PASSES)
        first, second = (windows(session, name) for name in ("FunctionalMLP:ReLU", "FunctionalMLP:ReLU:call1"))
        rows = session.frame("activation")
        coverage = session.frame("event")
    burst = torch.cat([layer_outputs[10 * index] for index in range(FEWEST_PASSES)]).relu()
    (counts,) = first
    assert np.array_equal(counts.active, (burst != 0).sum(0).numpy())
    assert (counts.active == 0).sum() == 9
    assert len(second) == 1
    assert set(rows[rows["site"] == "FunctionalMLP:ReLU"]["step"]) == {0, 10, 20, 30, 40}
    assert coverage["kind"].tolist() == ["coverage"]


def test_units_of_a_weight_are_the_rows_that_a_gradient_reached(tmp_path):
    torch.manual_seed(0)
    model = MLP(depth=1, width=24)
    with torch.no_grad():
        model.layers[0].bias[:6] = -1e3
        model.layers[0].bias[6:12] = -3.5
    reached = []
    model.layers[0].weight.register_post_accumulate_grad_hook(
        lambda weight: reached.append((weight.grad != 0).any(1).clone())
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(8, 24) * 3, BACKWARD_PASSES)
        (counts,) = windows(session, "layers.0.weight")
    assert counts.samples == BACKWARD_PASSES
    assert np.array_equal(counts.active, torch.stack(reached).sum(0).numpy())
    assert not counts.active[:6].any()
    assert ((counts.active > 0) & (counts.active < BACKWARD_PASSES)).any()
    assert not counts.saturated.any()


def test_saturated_units_are_found_and_named(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 10))
    with torch.no_grad():
        model[0].bias[:8] = 50
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(256, 8), 2 * FEWEST_PASSES)
        (finding,) = [each for each in session.findings if each.rule == "saturated_units"]
    assert finding.site == "1"
    assert finding.evidence["saturated_units"] == 8
    assert finding.evidence["first_saturated_units"] == "0, 1, 2, 3, 4, 5, 6, 7"


def test_a_healthy_network_has_no_saturated_units(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, lambda: torch.randn(256, 8), 2 * FEWEST_PASSES)
        assert session.findings == []
