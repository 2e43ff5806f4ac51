"""Capturing the module graph changes nothing and keeps nothing."""

import gc
import logging
import weakref

import pytest
import torch
from graph_models import GPT, IDS, Classifier, ResNet, Wrapped, loss_of, mlp

from deepseek.inspector import inspect


def test_capturing_leaves_no_tensor_alive(tmp_path):
    seen = []

    def watch(model, x):
        y = x * 3.0
        seen.append(weakref.ref(y))
        return y + x

    model = Wrapped(watch)
    for layer in (model.before, model.after):
        layer.register_forward_hook(lambda module, args, output: seen.append(weakref.ref(output)))
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session:
        x = torch.randn(3, 4)
        seen.append(weakref.ref(x))
        model(x)
        del x
        gc.collect()
        assert session.graph().complete
        assert len(seen) == 4
        assert [one() for one in seen] == [None] * 4


def test_capturing_leaves_no_model_alive(tmp_path):
    model = mlp()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session:
        model(torch.randn(3, 6))
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None
        assert len(session.graph().nodes) == 10


@pytest.mark.parametrize("make", [ResNet, Classifier, GPT])
def test_training_is_bit_equal_with_and_without_the_capture(make, tmp_path, monkeypatch):
    args = torch.randn(2, 3, 8, 8) if make is ResNet else IDS

    def train(watched):
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        session = inspect(model, optimizer, every=1, run=tmp_path / f"{watched}.dsrun") if watched else None
        for _ in range(4):
            optimizer.zero_grad()
            loss_of(model(args)).backward()
            optimizer.step()
        if session is not None:
            assert session.graph().complete
            session.close()
        return [*model.state_dict().values(), torch.get_rng_state()]

    assert all(torch.equal(a, b) for a, b in zip(train(True), train(False), strict=True))


def test_an_error_in_the_capture_is_said_once_and_training_goes_on(tmp_path, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr("deepseek.inspector.graph.capture._spec", broken)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with caplog.at_level(logging.WARNING), inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        for _ in range(12):
            model(torch.randn(3, 6)).sum().backward()
            optimizer.step()
        assert session.graph().note == "capturing it failed (RuntimeError)"
        assert len(session.graph().nodes) == 4
        assert session.frame("activation")["step"].nunique() == 12
    assert [record.getMessage() for record in caplog.records] == [
        "deepseek: capturing the module graph failed and is switched off (RuntimeError: broken on purpose). "
        "Your training is not affected."
    ]
