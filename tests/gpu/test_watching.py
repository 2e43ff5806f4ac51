"""On a GPU too, watching changes nothing, waits for nothing and tells what there is."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training import CASES, everything, make, train
from zoo import GPT, MLP

from deepseek.inspector import inspect


@pytest.mark.parametrize("every", [1, 3, None])
@pytest.mark.parametrize("case", CASES)
def test_training_is_bit_equal(case, every, tmp_path, on_the_gpu, same_bits):
    results = []
    for watched in (False, True):
        model, optimizer = make(case)
        with inspect(model, optimizer, every=every, run=tmp_path / "x.dsrun") if watched else nullcontext() as session:
            losses, gradients = train(model, optimizer, CASES[case][1], 20, session)
        results.append((losses, [*gradients, *everything(model, optimizer), torch.cuda.get_rng_state()]))
    (bare_losses, bare), (losses, state) = results
    assert losses == bare_losses
    assert all(torch.equal(one, other) for one, other in zip(state, bare, strict=True))


def mixed_steps(model, optimizer, scaler, steps=6):
    for number in range(steps):
        tokens = torch.randint(256, (4, 32), device="cuda", generator=torch.Generator("cuda").manual_seed(number))
        with torch.autocast("cuda", torch.float16):
            loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()


def mixed():
    torch.manual_seed(0)
    model = GPT(layers=2, width=64, heads=4, vocabulary=256, length=32).cuda()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True), torch.amp.GradScaler("cuda")


@pytest.mark.parametrize("every", [1, 3])
def test_mixed_precision_with_a_fused_optimizer_is_bit_equal(every, tmp_path, same_bits):
    bare = mixed()
    mixed_steps(*bare)
    model, optimizer, scaler = mixed()
    with inspect(model, optimizer, every=every, run=tmp_path / "x.dsrun"):
        mixed_steps(model, optimizer, scaler)
    assert scaler.get_scale() == bare[2].get_scale()
    assert all(torch.equal(a, b) for a, b in zip(everything(model, optimizer), everything(*bare[:2]), strict=True))


def test_an_observed_step_waits_for_nothing(tmp_path):
    model = MLP().cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    inputs, targets = torch.randn(32, 64, device="cuda"), torch.randint(10, (32,), device="cuda")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for number in range(12):
            torch.cuda.set_sync_debug_mode("default" if number < 2 else "error")
            try:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(inputs), targets)
                loss.backward()
                optimizer.step()
                session.log(loss=loss)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert set(session.frame("gradient")["step"]) == set(range(12))


def test_rows_tell_what_the_tensors_hold(tmp_path):
    torch.manual_seed(0)
    model = MLP().cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs = torch.randn(32, 64, device="cuda")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        hidden = model.layers[0](inputs)
        model(inputs).square().mean().backward()
        gradient = model.layers[0].weight.grad.double()
        optimizer.step()
        activations, gradients = session.frame("activation"), session.frame("gradient")
    row = activations[activations["site"] == "layers.0"].iloc[-1]
    assert row["mean"] == pytest.approx(hidden.double().mean().item(), rel=1e-5, abs=1e-7)
    assert row["std"] == pytest.approx(hidden.double().std().item(), rel=1e-3)
    row = gradients[gradients["site"] == "layers.0.weight"].iloc[-1]
    assert row["l2"] == pytest.approx(gradient.norm().item(), rel=1e-5)


def test_a_planted_nan_and_dead_units_are_found(tmp_path):
    torch.manual_seed(0)
    model = MLP().cuda()
    with torch.no_grad():
        model.layers[2].bias[:40] = -100
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for step in range(60):
            inputs = torch.randn(64, 64, device="cuda")
            if step == 50:
                inputs[3, 3] = torch.nan
            optimizer.zero_grad()
            model(inputs).square().mean().backward()
            optimizer.step()
        session.flush()
        found = {(finding.rule, finding.site) for finding in session.findings}
    assert ("dead_units", "layers.2") in found
    assert any(rule == "nonfinite" for rule, _ in found)


def test_functions_and_the_graph_are_seen_with_a_default_device(tmp_path, on_the_gpu):
    model = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        model(torch.randn(2, 4, 16)).sum().backward()
        optimizer.step()
        assert session.graph().complete
