"""Looking closely at layers: what is seen equals brute force, and training goes on as if nobody looked."""

import math
import time

import numpy as np
import pytest
import torch
from controlled import Background, commands, paused, until
from torch import nn
from torch.utils.checkpoint import checkpoint
from training import CASES, everything, make, train

from deepseek import DeepseekError, open_run
from deepseek.inspector import inspect


def small():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def step(model, optimizer, inputs=None):
    optimizer.zero_grad()
    model(torch.ones(4, 6) if inputs is None else inputs).pow(2).sum().backward()
    optimizer.step()


def by_kind(detail):
    return {(found.kind, found.tensor): found for found in detail.histograms}


def same_counts(found, tensor):
    values = tensor.detach().double().numpy().ravel()
    counts, edges = np.histogram(values, 64)
    assert (found.low, found.high) == (edges[0], edges[-1])
    assert np.array_equal(found.counts, counts)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.dsrun"


def test_detail_of_a_layer_equals_what_autograd_gives(path):
    model, optimizer = small()
    inputs = torch.randn(5, 6)
    with inspect(model, optimizer, every=10, run=path) as session:
        step(model, optimizer)
        session.ask_detail("0")
        twin = small()[0]
        twin.load_state_dict(model.state_dict())
        hidden = twin[0](inputs)
        hidden.retain_grad()
        twin[2](twin[1](hidden)).pow(2).sum().backward()
        step(model, optimizer, inputs)
        found = session.detail("0")
        assert session.detail("2") is None
    histograms = by_kind(found)
    same_counts(histograms["activation", ""], hidden)
    same_counts(histograms["activation_gradient", ""], hidden.grad)
    same_counts(histograms["gradient", "weight"], twin[0].weight.grad)
    same_counts(histograms["parameter", "bias"], model[0].bias)
    assert (found.step, found.calls, found.watched, found.note) == (1, 1, False, "")
    assert (found.output_bytes, found.parameter_bytes, found.gradient_bytes) == (5 * 8 * 4, 56 * 4, 56 * 4)
    assert found.forward_ms > 0
    assert found.backward_ms > 0
    assert np.array_equal(found.picture.values, model[0].weight.detach().numpy())
    live = twin[0].weight.grad.abs().sum(1) > 0
    assert found.units.active.tolist() == live.int().tolist()


def test_units_of_an_activation_function_are_counted(path):
    model, optimizer = small()
    inputs = torch.randn(50, 6)
    expected = (model[1](model[0](inputs)) != 0).sum(0)
    with inspect(model, optimizer, run=path) as session:
        session.ask_detail("1")
        step(model, optimizer, inputs)
        units = session.detail("1").units
    assert (units.of, units.samples) == ("activation", 50)
    assert units.active.tolist() == expected.tolist()


def test_the_time_of_a_layer_leaves_out_what_watching_takes(path):
    """Values of the layer are counted for far longer than it computes."""
    model, optimizer = small()
    inputs = torch.randn(20_000, 6)
    with inspect(model, optimizer, every=1, run=path) as session:
        session.watch_closer("*")
        took = []
        for _ in range(5):
            began = time.perf_counter()
            step(model, optimizer, inputs)
            found = session.detail("Sequential")
            took.append((time.perf_counter() - began) * 1e3 / (found.forward_ms + found.backward_ms))
    print("step under a close watch, relative to what the model is said to take:", [round(each) for each in took])
    assert max(took) > 2


def test_hooks_are_there_only_in_the_step_that_was_asked_for(path):
    model, optimizer = small()
    with inspect(model, optimizer, every=1000, run=path) as session:
        step(model, optimizer)
        step(model, optimizer)
        assert not model[0]._forward_hooks
        session.ask_detail("0")
        assert model[0]._forward_hooks
        assert not model[2]._forward_hooks
        step(model, optimizer)
        assert not model[0]._forward_hooks
        assert not model[0].weight._post_accumulate_grad_hooks
        step(model, optimizer)
        assert session.detail("0").step == 2


def test_watched_layers_are_looked_at_in_every_step_until_that_ends(path):
    model, optimizer = small()
    with inspect(model, optimizer, every=1000, run=path) as session:
        step(model, optimizer)
        session.watch_closer("[02]")
        for number in (1, 2, 3):
            step(model, optimizer)
            found = session.detail("2")
            assert (found.step, found.watched, found.picture) == (number, True, None)
        session.watch_closer(None)
        step(model, optimizer)
        assert session.detail("2").step == 3
        assert not model[0]._forward_hooks
        assert [each["site"] for each in commands(session)] == ["[02]", "none"]
        memory, histograms = session.frame("memory"), session.frame("histogram")
    assert memory["site"].tolist() == ["0", "2"]
    assert set(histograms["kind"]) == {"activation", "activation_gradient", "gradient", "parameter"}
    assert (histograms["counts"].map(np.sum) == histograms["numel"]).all()
    with open_run(path) as run:
        assert [detail.step for detail in run.details()] == [3, 3]


@pytest.mark.parametrize("site", ["", "nothing", "x" * 1001, 5])
def test_layers_that_there_are_not_are_refused_at_once(site, path):
    model, optimizer = small()
    with inspect(model, optimizer, run=path) as session:
        for ask in (session.ask_detail, session.watch_closer):
            with pytest.raises(DeepseekError, match="layer"):
                ask(site)
        step(model, optimizer)
        assert session.details() == []


def test_too_many_layers_are_refused(path):
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(9)))
    with inspect(model, torch.optim.SGD(model.parameters()), run=path) as session:
        with pytest.raises(DeepseekError, match="at most 8"):
            session.watch_closer("*")
        session.watch_closer("Sequential")


def test_in_a_pause_parameters_and_gradients_are_looked_at_at_once(path):
    model, optimizer = small()
    with inspect(model, optimizer, run=path) as session:
        step(model, optimizer)
        session.pause()
        training = Background(lambda: [step(model, optimizer) for _ in range(2)])
        until(paused(session))
        session.ask_detail("0")
        until(lambda: session.detail("0"))
        found = session.detail("0")
        assert set(by_kind(found)) == {(kind, own) for kind in ("parameter", "gradient") for own in ("weight", "bias")}
        same_counts(by_kind(found)["gradient", "weight"], model[0].weight.grad)
        assert "next step" in found.note
        assert found.step == 1
        session.step_once()
        until(lambda: session.detail("0").step == 2)
        assert ("activation", "") in by_kind(session.detail("0"))
        session.resume()
        training.result()


@pytest.mark.parametrize("every", [1, 3, None])
@pytest.mark.parametrize("case", CASES)
def test_training_under_a_close_watch_is_bit_equal(case, every, path):
    bare_model, bare_optimizer = make(case)
    bare = train(bare_model, bare_optimizer, CASES[case][1], 12)
    model, optimizer = make(case)
    with inspect(model, optimizer, every=every, run=path) as session:
        names = [name for name, _ in model.named_modules() if name][:8]
        session.watch_closer(names[0])
        session._steps._closer._watched = tuple(names)
        watched = train(model, optimizer, CASES[case][1], 12, session)
        assert {detail.site for detail in session.details()} >= set(names)
    assert watched[0] == bare[0]
    assert all(torch.equal(a, b) for a, b in zip(watched[1], bare[1], strict=True))
    left = zip(everything(model, optimizer), everything(bare_model, bare_optimizer), strict=True)
    assert all(torch.equal(a, b) for a, b in left)


def test_accumulated_gradients_are_those_that_the_optimizer_uses(path):
    model, optimizer = small()
    with inspect(model, optimizer, run=path) as session:
        session.ask_detail("0")
        optimizer.zero_grad()
        for _ in range(3):
            model(torch.randn(4, 6)).sum().backward()
        optimizer.step()
        found = session.detail("0")
    same_counts(by_kind(found)["gradient", "weight"], model[0].weight.grad)
    assert found.calls == 3


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_are_free_of_the_loss_scale(fused, path):
    found = {}
    for scale in (1.0, 1024.0):
        model, _ = small()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        with inspect(model, optimizer, run=path.with_suffix(f".{scale}")) as session:
            session.ask_detail("0")
            scaler.scale(model(torch.ones(4, 6)).pow(2).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            found[scale] = by_kind(session.detail("0"))
    for key in (("gradient", "weight"), ("activation_gradient", "")):
        assert np.array_equal(found[1.0][key].counts, found[1024.0][key].counts)
        assert 0 < found[1.0][key].high == found[1024.0][key].high


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputed_outputs_are_counted_once(reentrant, path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    body, model[0].forward = model[0].forward, None
    model[0].forward = lambda x: checkpoint(body, x, use_reentrant=reentrant)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspect(model, optimizer, run=path) as session:
        session.ask_detail("0")
        session.ask_detail("1")
        step(model, optimizer, torch.randn(4, 6, requires_grad=True))
        for site in "01":
            kinds = [found.kind for found in session.detail(site).histograms]
            assert kinds.count("activation") == kinds.count("activation_gradient") == 1


def test_an_evaluation_in_between_is_not_taken_for_the_step(path):
    model, optimizer = small()
    with inspect(model, optimizer, every=1, run=path) as session:
        session.ask_detail("0")
        with torch.no_grad():
            model(torch.randn(9, 6))
        step(model, optimizer)
        found = session.detail("0")
    assert found.calls == 1
    assert by_kind(found)["activation", ""].numel == 4 * 8


def test_a_compiled_layer_says_why_there_are_no_outputs(path):
    model, optimizer = small()
    compiled = torch.compile(model, backend="eager")
    with inspect(model, optimizer, every=1000, run=path) as session:
        step(compiled, optimizer)
        step(compiled, optimizer)
        session.ask_detail("0")
        step(compiled, optimizer)
        found = session.detail("0")
    if found.calls == 0:
        assert "ompiled" in found.note
        assert math.isnan(found.forward_ms)
    assert ("gradient", "weight") in by_kind(found)


def test_a_sparse_gradient_has_a_size_and_no_histogram(path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(50, 4, sparse=True), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with inspect(model, optimizer, run=path) as session:
        session.ask_detail("0")
        step(model, optimizer, torch.tensor([3, 7, 7]))
        found = session.detail("0")
    assert found.gradient_bytes == 3 * 8 + 3 * 4 * 4
    assert {histogram.kind for histogram in found.histograms} == {"activation", "activation_gradient", "parameter"}


def test_a_layer_that_is_not_called_says_so(path):
    model, optimizer = small()
    model.add_module("idle", nn.Linear(2, 2))
    model.forward = lambda x: model[2](model[1](model[0](x)))
    with inspect(model, optimizer, run=path) as session:
        session.ask_detail("idle")
        step(model, optimizer)
        found = session.detail("idle")
    assert found.calls == 0
    assert found.note
    assert set(by_kind(found)) == {("parameter", "weight"), ("parameter", "bias")}


def test_no_tensor_is_kept_and_no_hook_is_left(path):
    model, optimizer = small()
    held = []
    with inspect(model, optimizer, run=path) as session:
        session.watch_closer("0")
        step(model, optimizer)
        held.append(model(torch.ones(4, 6, requires_grad=True)))
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks
    assert not model[0].weight._post_accumulate_grad_hooks
    assert session._steps._closer._probes == {}


def test_a_failure_of_ours_ends_the_looking_and_is_said_once(path, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("broken on purpose")

    model, optimizer = small()
    monkeypatch.setattr("deepseek.inspector.detail.closer.picture", broken)
    with inspect(model, optimizer, run=path) as session:
        session.ask_detail("0")
        for _ in range(3):
            step(model, optimizer)
        assert session.status.step == 3
        assert session.details() == []
    said = [record.getMessage() for record in caplog.records if "broken on purpose" in record.getMessage()]
    assert len(said) == 1
    assert not model[0]._forward_hooks
