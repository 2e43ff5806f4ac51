"""Watching changes nothing, to the last bit, and leaves nothing behind."""

import copy
import io

import pytest
import torch
from torch import nn
from training import CASES, everything, make, train
from zoo import Checkpointed

from deepseek.inspector import inspect


def hooks(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Count every hook on a model, its parameters and its optimizer."""
    tables = [
        table for module in model.modules() for name, table in vars(module).items() if name.endswith("_hooks") and table
    ]
    for parameter in model.parameters():
        tables += [parameter._backward_hooks or (), parameter._post_accumulate_grad_hooks or ()]
    tables += [optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks]
    return sum(len(table) for table in tables)


@pytest.mark.parametrize("every", [1, 3, None])
@pytest.mark.parametrize("case", CASES)
def test_training_is_bit_equal(case, every, tmp_path):
    bare_model, bare_optimizer = make(case)
    bare = train(bare_model, bare_optimizer, CASES[case][1], 20)
    bare_state = everything(bare_model, bare_optimizer)
    model, optimizer = make(case)
    with inspect(model, optimizer, every=every, run=tmp_path / "x.dsrun") as session:
        watched = train(model, optimizer, CASES[case][1], 20, session)
        assert hooks(model, optimizer) > 0
    state = everything(model, optimizer)
    assert hooks(model, optimizer) == 0
    assert watched[0] == bare[0]
    assert all(torch.equal(a, b) for a, b in zip(watched[1], bare[1], strict=True))
    assert len(state) == len(bare_state)
    assert all(torch.equal(a, b) for a, b in zip(state, bare_state, strict=True))


def test_no_hook_is_left_when_the_loop_raises(tmp_path):
    model, optimizer = make("cnn")
    held = []

    def loop():
        with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun"):
            held.append(model(torch.randn(4, 1, 8, 8)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert hooks(model, optimizer) == 0
    assert not held[0]._backward_hooks


def test_unobserved_steps_carry_no_probe(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=2, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, CASES["mlp"][1], 1, session)
        assert all(not module._forward_hooks for module in model.modules() if module is not model)
        train(model, optimizer, CASES["mlp"][1], 1, session)
        assert any(module._forward_hooks for module in model.modules() if module is not model)


def test_copies_and_saved_models_are_inert_and_free_of_the_package(tmp_path):
    model, optimizer = make("mlp")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        clone = copy.deepcopy(model)
        buffer = io.BytesIO()
        torch.save(model, buffer)
        assert b"deepseek" not in buffer.getvalue()
        buffer.seek(0)
        loaded = torch.load(buffer, weights_only=False)
        inputs = torch.randn(4, 64)
        for other in (clone, loaded):
            other(inputs).sum().backward()
        assert torch.equal(clone(inputs), loaded(inputs))
        session.flush()
        assert session.status.step == 0


def test_a_failing_probe_switches_itself_off_and_says_so_once(tmp_path, caplog, monkeypatch):
    model, optimizer = make("mlp")
    bare, _ = train(*make("mlp"), CASES["mlp"][1], 5)

    def broken(tensor):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("deepseek.inspector.recorder.summarize_row", broken)
    with inspect(model, optimizer, every=1, kinds=["gradient"], run=tmp_path / "x.dsrun") as session:
        losses, _ = train(model, optimizer, CASES["mlp"][1], 5, session)
        assert session.status.step == 5
    assert losses == bare
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(set(messages)) == len(list(model.parameters()))
    assert "layers.0.weight failed and is switched off" in messages[-1] + messages[-2]


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_activations_are_recorded_once_and_gradients_once(reentrant, tmp_path):
    torch.manual_seed(0)
    model = Checkpointed(reentrant)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs = torch.randn(8, 64, requires_grad=True)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        model(inputs).sum().backward()
        optimizer.step()
        rows = session.frame("activation")
        gradients = session.frame("activation_gradient")
    assert sorted(rows["site"]) == [f"body.layers.{index}" for index in range(5)]
    assert sorted(gradients["site"]) == sorted(rows["site"])


def test_attaching_does_not_compute_a_parametrised_weight(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(torch.nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun"):
        pass
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_session_leaves_no_warning_and_no_output(tmp_path, capfd, recwarn):
    model, optimizer = make("cnn")
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        train(model, optimizer, CASES["cnn"][1], 3, session)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not recwarn.list
