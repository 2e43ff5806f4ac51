"""A paused session explains the current weights; the training, and what is recorded of it, stay the same to the bit."""

import random

import numpy as np
import pytest
import torch
from controlled import Background, commands, paused, until
from torch import nn
from training import CASES, everything, train
from training import make as make_case

import deepseek
from deepseek.errors import DeepseekError
from deepseek.inspector import open_run
from deepseek.inspector.control import Explain, parse

METHODS = ["expected_gradients", "deeplift", "integrated_gradients"]
KINDS = ("activation", "gradient", "eval_activation", "update")


def states():
    """The global random states."""
    return [*torch.get_rng_state().tolist(), *np.random.get_state()[1].tolist(), *random.getstate()[1]]  # noqa: NPY002


@pytest.mark.parametrize(("every", "with_optimizer"), [(1, True), (None, True), (1, False)])
def test_a_run_in_which_weights_were_explained_ends_bit_identical(every, with_optimizer, tmp_path):
    ends = [run(tmp_path / f"{explains}.dsrun", every, with_optimizer, explains) for explains in (False, True)]
    (_, bare_losses, bare_tensors, bare_states), (found, losses, tensors, after) = ends
    assert found == METHODS
    assert losses == bare_losses
    assert all(torch.equal(a, b) for a, b in zip(tensors, bare_tensors, strict=True))
    assert after == bare_states
    if every == 1:
        with open_run(tmp_path / "False.dsrun") as without, open_run(tmp_path / "True.dsrun") as with_it:
            assert with_it.status.step == without.status.step
            for kind in KINDS:
                assert with_it.frame(kind).equals(without.frame(kind))


def run(path, every, with_optimizer, explains):
    """Train, and explain the weights in pauses; return what was found, and all that training ends with."""
    model, optimizer = make_case("mlp")
    session = deepseek.inspect(model, optimizer if with_optimizer else None, every=every, run=path)
    controller = Background(explain_in_pauses, session, sample(model)) if explains else None
    if explains:
        session.pause()
    losses, gradients = train(model, optimizer, CASES["mlp"][1], 8, session)
    if controller is not None:
        controller.result()
    session.close()
    found = [each.method for each in session.explanations]
    return found, losses, [*gradients, *everything(model, optimizer)], states()


def explain_in_pauses(session, rows):
    try:
        for count, method in enumerate(METHODS, 1):
            until(paused(session))
            session.explain_with(rows[:1], rows[1:2], method=method)
            session.explain()
            until(lambda count=count: len(session.explanations) == count, 60)
            before = session.status.step
            session.step_once()
            until(lambda before=before: session.status.step > before)
    finally:
        session.resume()


def sample(model):
    """Rows that fit the model."""
    first = next(module for module in model.modules() if isinstance(module, nn.Linear))
    return torch.randn(3, first.in_features, generator=torch.Generator().manual_seed(0))


def refusals(session):
    return [each for each in commands(session) if each["verb"] == "explain" and "refused" in each]


@pytest.fixture
def session(tmp_path):
    model, optimizer = make_case("mlp")
    with deepseek.inspect(model, optimizer, run=tmp_path / "x.dsrun") as session:
        yield session, model, optimizer


def test_nothing_is_explained_unless_paused_and_told_what(session):
    watched, model, optimizer = session
    with pytest.raises(DeepseekError, match="needs a training that is paused"):
        watched.explain()
    with pytest.raises(DeepseekError, match="The method must be one of"):
        watched.explain_with(sample(model), method="lime")

    def control():
        until(paused(watched))
        with pytest.raises(DeepseekError, match=r"call session\.explain_with"):
            watched.explain()
        watched.resume()

    watched.pause()
    controller = Background(control)
    train(model, optimizer, CASES["mlp"][1], 3, watched)
    controller.result()


def test_what_cannot_be_explained_is_noted_and_the_pause_goes_on(session):
    watched, model, optimizer = session

    def control():
        until(paused(watched))
        watched.explain_with(torch.zeros(2, 99), torch.zeros(1, 99))
        watched.explain()
        watched.step_once()
        until(paused(watched))
        watched.resume()

    watched.pause()
    controller = Background(control)
    train(model, optimizer, CASES["mlp"][1], 5, watched)
    controller.result()
    (refused,) = refusals(watched)
    assert "RuntimeError" in refused["refused"]
    assert watched.explanations == []


def test_the_verb_may_come_from_a_browser():
    assert parse({"verb": "explain"}) == Explain()
    with pytest.raises(DeepseekError, match="takes no arguments"):
        parse({"verb": "explain", "inputs": "x"})
