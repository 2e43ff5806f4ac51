"""Gates are calibrated to the time that a forward may take, here on a clock that only the model's blocks move on."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward, active_frac, calibrate_gates
from deepseek.kernels.sparse import latency

LEAST_MS, MORE_MS = 2, 20


class Timed(nn.Module):
    """Takes 2 ms, and 20 ms times a power of the share of active blocks."""

    def __init__(self, power: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.power = power
        self.now = 0.0
        self.layer = SparseFeedForward(16, 32)

    def forward(self, x: Tensor) -> Tensor:
        output = self.layer(x)
        self.now += self.milliseconds(self.layer.gate.last.active_frac) / 1000
        return output

    def milliseconds(self, active_frac: Tensor) -> float:
        return LEAST_MS + MORE_MS * float(active_frac.mean()) ** self.power


def timed(monkeypatch, power: int = 1) -> Timed:
    model = Timed(power)
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: model.now))
    return model


@pytest.mark.parametrize("power", [1, 8])
@pytest.mark.parametrize("limit", [3, 9, 21])
def test_as_many_blocks_are_open_as_the_time_allows(power, limit, monkeypatch):
    model, batches = timed(monkeypatch, power), [torch.randn(60, 16), torch.randn(60, 16)]
    threshold = calibrate_gates(model, batches, latency_ms=limit)
    assert model.milliseconds(active_frac(model, torch.cat(batches))) == pytest.approx(limit, rel=0.05)
    assert float(model.layer.gate.threshold) == pytest.approx(threshold)


def test_with_time_enough_every_block_is_open(monkeypatch):
    model, x = timed(monkeypatch), torch.randn(60, 16)
    assert calibrate_gates(model, [x], latency_ms=1000) == 0
    assert float(active_frac(model, x).mean()) == 1


def test_what_cannot_be_reached_is_refused_with_the_range_and_changes_nothing(monkeypatch):
    model = timed(monkeypatch).train()
    model.layer.gate.threshold.fill_(0.6)
    with pytest.raises(DeepseekError, match=r"latency_ms of at least 2, got 0.5: .*takes 2 to 22 ms a forward"):
        calibrate_gates(model, [torch.randn(60, 16)], latency_ms=0.5)
    assert float(model.layer.gate.threshold) == pytest.approx(0.6)
    assert model.training


def test_on_the_clock_of_this_machine_an_hour_is_enough_and_a_nanosecond_is_not():
    torch.manual_seed(0)
    model, x = nn.Sequential(SparseFeedForward(64, 512), SparseFeedForward(64, 512)), torch.randn(256, 64)
    assert calibrate_gates(model, [x], latency_ms=3.6e6) == 0
    with pytest.raises(DeepseekError, match="latency_ms of at least"):
        calibrate_gates(model, [x], latency_ms=1e-6)


@pytest.mark.parametrize("options", [{}, {"target": 0.5, "latency_ms": 3}])
def test_one_of_activation_and_latency_is_to_be_chosen(options):
    with pytest.raises(DeepseekError, match="either target or latency_ms"):
        calibrate_gates(Timed(), [torch.randn(2, 16)], **options)
