"""Decisions on the precision of layers are part of the run."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import deepseek
from deepseek.kernels import AdaptivePrecision, PackedActivations
from deepseek.kernels.precision import PLAN_COLUMNS


def train(model, optimizer, epochs, precision, scale=1.0):
    for _ in range(epochs):
        for _ in range(3):
            optimizer.zero_grad()
            (scale * F.cross_entropy(model(torch.randn(8, 16)), torch.randint(4, (8,)))).backward()
            optimizer.step()
        precision.end_epoch()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))


def test_the_table_holds_each_decision_with_its_evidence(model, tmp_path):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    precision = AdaptivePrecision(model, optimizer, every_epochs=2, emulate=True)
    with deepseek.inspect(model, optimizer, run=tmp_path / "a.dsrun") as session, precision:
        train(model, optimizer, 3, precision)
        live = session.frame("precision")
    with deepseek.open_run(tmp_path / "a.dsrun") as run:
        stored = run.frame("precision")
    assert stored.equals(live)
    assert list(stored.columns) == ["step", *PLAN_COLUMNS]
    assert stored["step"].tolist() == [0, 0, 3, 3, 6, 6]
    assert stored["epoch"].tolist() == [0, 0, 1, 1, 2, 2]
    rows = [row for plan in precision.plans for row in plan.rows()]
    assert stored.drop(columns="step").to_dict("records") == rows


def test_the_layer_that_half_precision_harms_is_named(model, tmp_path):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad():
        model[0].weight.mul_(1e5)
    with deepseek.inspect(model, optimizer, run=tmp_path / "a.dsrun") as session:
        with AdaptivePrecision(model, optimizer, emulate=True) as precision:
            train(model, optimizer, 1, precision, scale=1e-4)
        table = session.frame("precision").set_index("layer")
    assert table.loc["0", "dtype"] == "float32"
    assert table.loc["0", "reason"].endswith("of its output would become infinite in float16")
    assert "output" in table.loc["0", "overflow_in"]


def test_a_session_that_comes_later_tells_what_is_in_force(model, tmp_path):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with AdaptivePrecision(model, optimizer, emulate=True) as precision:
        train(model, optimizer, 2, precision)
        with deepseek.inspect(model, optimizer, run=tmp_path / "a.dsrun") as session:
            train(model, optimizer, 1, precision)
            assert session.frame("precision")["epoch"].tolist() == [1, 1]


def test_there_is_nothing_without_adaptive_precision(model, tmp_path):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with deepseek.inspect(model, optimizer, run=tmp_path / "a.dsrun") as session:
        model(torch.randn(2, 16)).sum().backward()
        optimizer.step()
        assert session.frame("precision").empty
        assert "precision" not in set(session.frame("event")["kind"])


def test_numbers_that_are_not_finite_can_be_stored(model, tmp_path):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with deepseek.inspect(model, optimizer, run=tmp_path / "a.dsrun", rules=[]) as session:
        with AdaptivePrecision(model, optimizer, emulate=True) as precision:
            train(model, optimizer, 1, precision, scale=float("nan"))
        table = session.frame("precision")
    assert table["gradient_norm"].isna().all()
    assert set(table["reason"]) == {"it has values that are NaN or infinite in float32"}


@pytest.mark.parametrize("order", ["inspect first", "precision first"])
def test_watching_changes_no_bit_of_it(model, tmp_path, order):
    twin = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))
    twin.load_state_dict(model.state_dict())
    for each, watched in ((model, True), (twin, False)):
        torch.manual_seed(1)
        optimizer = torch.optim.Adam(each.parameters())
        early = watched and order == "inspect first"
        session = deepseek.inspect(each, optimizer, every=1, run=tmp_path / "a.dsrun") if early else None
        with AdaptivePrecision(each, optimizer, every_epochs=2, emulate=True) as precision:
            if watched and session is None:
                session = deepseek.inspect(each, optimizer, every=1, run=tmp_path / "b.dsrun")
            train(each, optimizer, 3, precision)
        if session is not None:
            session.close()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize(
    ("policy", "weights", "scale", "expected"),
    [
        ("half", 1e5, 1.0, "0 computes in float16, where"),
        ("half", 1.0, 1e-9, "becomes zero. So it is with 2 of 2 layers."),
        ("gradient_norm", 1.0, 1e-9, "becomes zero"),
        ("half", 1.0, 1.0, None),
        ("exponent", 1e5, 1e-9, None),
    ],
)
def test_a_finding_names_a_layer_that_half_precision_harms(model, tmp_path, policy, weights, scale, expected):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with torch.no_grad():
        model[0].weight.mul_(weights)
    with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "a.dsrun") as session:
        with AdaptivePrecision(model, optimizer, policy=policy, emulate=True) as precision:
            train(model, optimizer, 1, precision, scale=scale)
        found = [finding for finding in session.findings if finding.rule == "harmful_precision"]
    assert len(found) == (expected is not None)
    if expected:
        assert expected in found[0].message
        assert found[0].site in ("0", "2")
        assert "float32" in found[0].fix


def test_packed_activations_are_the_same_when_watched(model, tmp_path):
    gradients = []
    for watched in (True, False):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        session = deepseek.inspect(model, optimizer, every=1, run=tmp_path / "a.dsrun") if watched else None
        torch.manual_seed(0)
        optimizer.zero_grad()
        with PackedActivations(8) as packed:
            loss = F.cross_entropy(model(torch.randn(512, 16)), torch.randint(4, (512,)))
        loss.backward()
        optimizer.step()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
        assert packed.saved_bytes < packed.original_bytes
        if session is not None:
            assert session.graph().complete
            session.close()
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
