"""What is left of the module graph where a forward cannot be followed: the plain tree, and why."""

import threading

import pytest
import torch
from graph_models import Wrapped, X, mlp, mlp_of, sources
from torch import nn

from deepseek.inspector import inspect, open_run
from deepseek.inspector.graph.keeper import CHANGED, COMPILED, NOT_FOLLOWED, NOT_YET, RAISED, THREADS, USERS_MODE


def test_a_session_has_the_plain_tree_before_the_first_forward(tmp_path):
    model = mlp()
    with inspect(model, run=tmp_path / "x.dsrun") as session:
        graph = session.graph()
    assert (graph.complete, graph.note, graph.edges) == (False, NOT_YET, ())
    assert [node.site for node in graph.nodes] == ["Sequential", "0", "1", "2"]


def test_without_activations_there_is_the_plain_tree(tmp_path):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, kinds=["gradient"], run=tmp_path / "x.dsrun") as session:
        model(torch.randn(3, 6)).sum().backward()
        optimizer.step()
        session.flush()
        with open_run(session.path) as run:
            assert run.graph() == session.graph()
        assert session.graph().note == NOT_FOLLOWED
        assert len(session.graph().nodes) == 4


def test_a_forward_that_raises_leaves_the_plain_tree_and_the_next_one_is_captured(tmp_path):
    def fails(model, x, fail):
        if fail:
            raise ZeroDivisionError
        return model.body(x)

    model = Wrapped(fails, nn.Linear(4, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        with pytest.raises(ZeroDivisionError):
            model(X, fail=True)
        assert (session.graph().complete, session.graph().note) == (False, RAISED)
        assert len(session.graph().nodes) == 4
        model(X, fail=False).sum().backward()
        optimizer.step()
        assert session.graph().complete


def test_a_compiled_model_leaves_the_plain_tree(captured):
    torch._dynamo.reset()
    graph = captured(torch.compile(mlp_of(4), backend="aot_eager"), X)
    assert (graph.complete, graph.note) == (False, COMPILED)
    assert [node.site for node in graph.nodes][-1] == "_orig_mod.2"


def test_a_compiled_part_leaves_the_plain_tree(captured):
    torch._dynamo.reset()
    body = mlp_of(4)
    body.compile(backend="aot_eager")
    assert captured(Wrapped(lambda model, x: model.body(x), body), X).note == COMPILED


def test_a_forward_under_a_mode_of_the_users_leaves_the_plain_tree(tmp_path):
    model = mlp()
    with inspect(model, every=1, run=tmp_path / "x.dsrun") as session, torch.device("cpu"):
        model(torch.randn(3, 6)).sum().backward()
        assert session.graph().note == USERS_MODE


def test_modules_that_compute_in_several_threads_leave_the_plain_tree(captured):
    def threaded(model, x):
        found = []
        thread = threading.Thread(target=lambda: found.append(model.body(x)))
        thread.start()
        thread.join()
        return found[0]

    assert captured(Wrapped(threaded, mlp_of(4)), X).note == THREADS


def test_a_tensor_of_unknown_origin_makes_the_graph_incomplete(captured):
    old = nn.Linear(4, 4)(X).detach().requires_grad_()
    graph = captured(Wrapped(lambda model, x: x + old), X)
    assert not graph.complete
    assert "where hooks do not see" in graph.note
    assert sources(graph, "after") == ["before"]


def test_modules_that_are_replaced_are_captured_again(tmp_path):
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
        notes = []
        for step in range(12):
            if step == 1:
                model.append(nn.Linear(2, 7))
            model(torch.randn(3, 6)).sum().backward()
            optimizer.step()
            notes.append(session.graph().note)
        session.flush()
        with open_run(session.path) as run:
            assert sources(run.graph(), "output") == ["3"]
    assert notes[0] == notes[-1] == ""
    assert CHANGED in notes


def test_a_graph_that_would_be_too_large_is_the_plain_tree(captured, monkeypatch):
    monkeypatch.setattr("deepseek.inspector.graph.capture.MAX_NODES", 8)
    graph = captured(mlp(), torch.randn(3, 6))
    assert (len(graph.nodes), graph.complete) == (4, False)
    assert "more than 8" in graph.note
