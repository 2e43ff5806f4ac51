"""Mixed precision that decides layer by layer, where half precision is computed by the device itself."""

import copy
import gc
from contextlib import ExitStack

import pytest
import torch
import torch.nn.functional as F
from zoo import GPT, MLP

from deepseek.inspector import inspect
from deepseek.kernels import AdaptivePrecision, PackedActivations
from deepseek.kernels.precision.speed import half_speedup


def test_half_precision_is_faster_here():
    assert half_speedup("cuda", torch.float16) > 1.5
    assert half_speedup("cuda", torch.bfloat16) > 1.5


def learn(dtype, scaler, run=None):
    torch.manual_seed(0)
    model = GPT(layers=2, width=64, heads=4, vocabulary=64, length=32).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    with ExitStack() as stack:
        session = stack.enter_context(inspect(model, optimizer, every=1, run=run)) if run else None
        how = {"scaler": scaler if scaler.is_enabled() else None, "dtype": dtype}
        precision = stack.enter_context(AdaptivePrecision(model, optimizer, **how)) if dtype else None
        for _ in range(60):
            tokens = torch.arange(32, device="cuda").add(torch.randint(32, (8, 1), device="cuda")) % 64
            optimizer.zero_grad()
            loss = F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        return loss.item(), precision and precision.plan, session and session.frame("precision")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_layers_go_to_half_precision_and_learn_as_well(dtype, tmp_path):
    exact, _, _ = learn(None, torch.amp.GradScaler("cuda", enabled=False))
    scaler = torch.amp.GradScaler("cuda", enabled=dtype == torch.float16)
    loss, plan, frame = learn(dtype, scaler, tmp_path / "x.dsrun")
    assert plan.half_frac > 0.5
    assert loss < exact + 0.1
    assert set(frame["layer"]) == {decision.layer for decision in plan.decisions}


@pytest.mark.parametrize("bits", [None, 16, 8])
def test_the_counted_bytes_are_those_that_the_allocator_gave(bits):
    torch.manual_seed(0)
    model = GPT(layers=2, width=256, heads=8, vocabulary=64, length=128).cuda()
    tokens = torch.randint(64, (32, 128), device="cuda")
    model(tokens).square().mean().backward()  # what is allocated once
    model.zero_grad()
    gc.collect()
    before = torch.cuda.memory_allocated()
    with PackedActivations(bits) as packed:
        kept = model(tokens).square().mean()
    gc.collect()
    assert packed.saved_bytes == pytest.approx(torch.cuda.memory_allocated() - before, rel=0.05)
    assert kept.requires_grad
    if bits:
        assert packed.saved_bytes < 0.65 * packed.original_bytes


def test_packed_gradients_are_near_the_exact_ones():
    torch.manual_seed(0)
    model = MLP(width=256).cuda()
    exact = copy.deepcopy(model)
    x = torch.randn(64, 256, device="cuda")
    with PackedActivations(8):
        loss = model(x).square().mean()
    loss.backward()
    exact(x).square().mean().backward()
    for one, other in zip(model.parameters(), exact.parameters(), strict=True):
        assert F.cosine_similarity(one.grad.flatten(), other.grad.flatten(), dim=0) > 0.999
