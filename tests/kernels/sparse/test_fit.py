"""Gates learn to spend much on hard inputs and little on easy ones; real data."""

import warnings

import pytest
import torch
from gated_quality import shuffled
from gated_tasks import Data
from sklearn.datasets import load_digits
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward, active_frac, dsa_resnet18, fit_gates, forced_share
from deepseek.kernels.sparse.block_paths import PATHS, run_masked


class Net(nn.Module):
    """Two gated residual layers between linear ones."""

    def __init__(self, inputs: int, width: int = 64, classes: int = 10):
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(SparseFeedForward(width, 4 * width) for _ in range(2))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x)
        for layer in self.layers:
            x = x + layer(nn.functional.layer_norm(x, x.shape[1:]))
        return self.head(x)


def digits(picture: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    data = load_digits()
    x = torch.tensor(data.data / 8 - 1, dtype=torch.float32)
    x = x.view(-1, 1, 8, 8) if picture else x
    y = torch.tensor(data.target)
    return x[:1200], y[:1200], x[1200:], y[1200:]


def batches(x: Tensor, y: Tensor, size: int = 100) -> list[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(x))
    return list(zip(x[order].split(size), y[order].split(size), strict=True))


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def test_fitting_reaches_the_target_and_keeps_the_quality():
    torch.manual_seed(0)
    x, y, test_x, test_y = digits()
    model = Net(64)
    fit = fit_gates(model, batches(x, y), target=0.5, epochs=12, lr=3e-3, progress=False)
    assert not model.training
    assert len(fit.loss) == len(fit.dense_loss) == len(fit.active_frac) == 12
    assert fit.loss[-1] < 0.2 * fit.loss[0]
    assert fit.threshold == pytest.approx(float(model.layers[0].gate.threshold))
    assert float(active_frac(model, test_x).mean()) == pytest.approx(0.5, abs=0.05)
    with forced_share(model, 1.0):
        dense = accuracy(model, test_x, test_y)
    assert accuracy(model, test_x, test_y) > max(0.9, dense - 0.02)


def test_the_target_is_learned_before_the_threshold_is_moved():
    torch.manual_seed(0)
    x, y, *_ = digits()
    fit = fit_gates(Net(64, width=32), batches(x, y), target=0.3, epochs=8, lr=3e-3, progress=False)
    assert fit.active_frac[-1] == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(("bias", "warned"), [(0.0, False), (4.0, True), (-4.0, True)])
def test_gates_that_did_not_learn_the_target_are_told_of(bias, warned):
    torch.manual_seed(0)
    x, y, *_ = digits()
    model = Net(64)
    for layer in model.layers:
        nn.init.constant_(layer.gate.bias, bias)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_gates(model, batches(x, y), epochs=1, lr=1e-6, progress=False)
    assert any("did not learn to open 50%" in str(each.message) for each in caught) == warned


def test_samples_learn_with_the_few_blocks_that_their_gates_open_widest(monkeypatch):
    torch.manual_seed(0)
    x, y, *_ = digits()
    model, seen = Net(64), []

    def spy(layer, rows, mask, counts):
        seen.append(mask.detach())
        return run_masked(layer, rows, mask, counts)

    monkeypatch.setitem(PATHS, "masked", spy)
    values = model.layers[0].gate.gates(nn.functional.layer_norm(model.embed(x[:100]), [64]))
    fit_gates(model, [(x[:100], y[:100])], target=0.5, spread=0.5, epochs=1, progress=False)
    masks = seen[::2][:3]  # of the first layer, with all gates open, with few, and gated
    assert masks[0].all()
    assert torch.equal(masks[1].sum(1), torch.full([100], 2.0))
    assert torch.equal(masks[1].bool(), values >= values.topk(2).values[:, 1:])
    assert torch.equal(masks[2].bool(), values > 0.5)


def test_the_blocks_of_a_sample_are_its_own():
    torch.manual_seed(0)
    x, y, test_x, test_y = digits()
    model = Net(64, width=32)
    fit_gates(model, batches(x, y), epochs=12, lr=3e-3, progress=False)
    data = Data(batches(x, y), test_x, test_y, test_y)
    assert shuffled(model, data) < 100 * accuracy(model, test_x, test_y) - 2.5


@pytest.mark.slow
def test_a_convolutional_network_is_fitted():
    torch.manual_seed(0)
    x, y, test_x, test_y = digits(picture=True)
    model = dsa_resnet18(in_channels=1, width=16)
    fit_gates(model, batches(x, y), target=0.5, epochs=6, lr=3e-3, progress=False)
    assert float(active_frac(model, test_x).mean()) == pytest.approx(0.5, abs=0.05)
    assert accuracy(model, test_x, test_y) > 0.88


def test_batch_norm_gets_the_statistics_of_the_gated_network():
    torch.manual_seed(0)
    x, y, *_ = digits(picture=True)
    model = dsa_resnet18(in_channels=1, width=8)
    fit_gates(model, batches(x[:100], y[:100]), epochs=1, progress=False)
    norm = model.layers[1].branch.norms[-1]
    settled, seen = norm.running_mean.clone(), []
    norm.register_forward_pre_hook(lambda _norm, inputs: seen.append(inputs[0]))
    assert norm.momentum == 0.1
    with torch.no_grad():
        model.train()(x[:100])
    torch.testing.assert_close(settled, seen[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_the_learning_rate_falls_from_epoch_to_epoch_but_not_that_of_an_optimizer_of_ones_own(monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def noted(self, closure=None):
        rates.append(self.param_groups[0]["lr"])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    x, y, _, _ = digits()
    model = Net(64)
    fit_gates(model, batches(x[:200], y[:200]), epochs=3, lr=0.1, progress=False)
    assert rates == pytest.approx([0.1, 0.1, 0.075, 0.075, 0.025, 0.025])
    own = torch.optim.AdamW(model.parameters(), lr=0.1)
    fit_gates(model, batches(x[:200], y[:200]), epochs=3, optimizer=own, progress=False)
    assert rates[6:] == [0.1] * 6


def test_an_optimizer_of_ones_own_decides_what_learns():
    torch.manual_seed(0)
    x, y, *_ = digits()
    model = Net(64)
    before = model.embed.weight.clone()
    gates = [parameter for name, parameter in model.named_parameters() if ".gate." in name]
    opened = gates[0].clone()
    fit_gates(model, batches(x, y), epochs=1, optimizer=torch.optim.SGD(gates, lr=0.1), progress=False)
    assert torch.equal(model.embed.weight, before)
    assert not torch.equal(gates[0], opened)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"target": 0.9}, "within 0 and 1, got 0.9 and 0.6"),
        (
            {"loss": nn.functional.cross_entropy},
            r"for each sample, \[B\], got \[\]",
        ),
        ({"batches": iter(())}, "There are no batches"),
    ],
)
def test_what_does_not_fit_is_named(arguments, sentence):
    x, y, *_ = digits()
    with pytest.raises(DeepseekError, match=sentence):
        fit_gates(Net(64), arguments.pop("batches", batches(x[:100], y[:100])), epochs=1, progress=False, **arguments)
