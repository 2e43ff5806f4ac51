"""Gates are calibrated to the time that a forward may take."""

import time

import pytest
import torch
from torch import Tensor, nn

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward, active_frac, calibrate_gates

LEAST_MS, MORE_MS = 2, 20


class Slow(nn.Module):
    """Sleeps for 2 ms, and for 20 ms times the share of active blocks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = SparseFeedForward(16, 32)

    def forward(self, x: Tensor) -> Tensor:
        output = self.layer(x)
        time.sleep((LEAST_MS + MORE_MS * float(self.layer.gate.last.active_frac.mean())) / 1000)
        return output


@pytest.mark.parametrize("wanted", [8, 14])
def test_the_share_of_active_blocks_is_what_the_time_allows(wanted):
    model, batches = Slow(), [torch.randn(60, 16), torch.randn(60, 16)]
    threshold = calibrate_gates(model, batches, latency_ms=wanted)
    share = float(active_frac(model, torch.cat(batches)).mean())
    assert share == pytest.approx((wanted - LEAST_MS) / MORE_MS, abs=0.12)
    assert float(model.layer.gate.threshold) == pytest.approx(threshold)


def test_with_time_enough_every_block_is_open():
    model, x = Slow(), torch.randn(60, 16)
    assert calibrate_gates(model, [x], latency_ms=1000) == 0
    assert float(active_frac(model, x).mean()) == 1


def test_what_cannot_be_reached_is_refused_with_the_range_and_changes_nothing():
    model = Slow().train()
    model.layer.gate.threshold.fill_(0.6)
    with pytest.raises(DeepseekError, match=r"latency_ms of at least \d.*got 0.5.*takes [2-9].* to 2\d.* ms a forward"):
        calibrate_gates(model, [torch.randn(60, 16)], latency_ms=0.5)
    assert float(model.layer.gate.threshold) == pytest.approx(0.6)
    assert model.training


@pytest.mark.parametrize("options", [{}, {"target": 0.5, "latency_ms": 3}])
def test_one_of_activation_and_latency_is_to_be_chosen(options):
    with pytest.raises(DeepseekError, match="either target or latency_ms"):
        calibrate_gates(Slow(), [torch.randn(2, 16)], **options)
