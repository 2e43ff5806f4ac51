"""Gates by the kinds of inputs: each block computes for one kind, and stays so while the model learns."""

import pytest
import torch
from gated_tasks import Net
from torch import nn
from torch.nn import functional

from deepseek.errors import DeepseekError
from deepseek.kernels import SparseFeedForward, active_frac, cluster_gates, dsa_resnet18, gate_decisions, gates_of

KINDS = 8


def rows_of_kinds(rows: int = 800, spread: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    kind = torch.arange(rows) % KINDS
    return 3 * functional.one_hot(kind, 12) + spread * torch.randn(rows, 12), kind


def model_of_two() -> Net:
    """Two gated layers of ``KINDS`` blocks."""
    torch.manual_seed(0)
    return Net(12, 3, 12, 32)


def opened_by_kind(model: nn.Module, x: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
    """Share of the rows of each kind for which each block of the first gate is active, ``[kinds, blocks]``."""
    active = next(iter(gate_decisions(model, x).values())).active.double()
    return torch.stack([active[kind == each].mean(0) for each in range(KINDS)])


def test_each_kind_gets_a_block_of_its_own():
    model, (x, _) = model_of_two(), rows_of_kinds(spread=0.3)
    cluster_gates(model, [x[:200], x[200:]])
    unseen, its_kind = rows_of_kinds(spread=0.3)
    opened = opened_by_kind(model, unseen, its_kind)
    assert sorted(opened.argmax(1).tolist()) == list(range(KINDS))
    assert float(opened.max(1).values.min()) > 0.9
    assert float(opened.sum(1).max()) < 1.1


@pytest.mark.parametrize("target", [0.1, 0.25, 0.6, 1.0])
def test_the_share_is_the_wanted_one(target):
    model, (x, _) = model_of_two(), rows_of_kinds(spread=2.0)
    cluster_gates(model, [x], target=target)
    for decision in gate_decisions(model, x).values():
        assert float(decision.active_frac.mean()) == pytest.approx(target, abs=0.002)


def test_gates_stay_while_the_model_learns():
    model, (x, _) = model_of_two(), rows_of_kinds()
    cluster_gates(model, [x])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    for _ in range(2):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if ".gate." not in name}


def test_grouping_leaves_modes_and_random_numbers_alone():
    model, (x, _) = model_of_two(), rows_of_kinds()
    model.layers[0].eval()
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    cluster_gates(model, [x])
    assert torch.equal(torch.rand(3), expected)
    assert [module.training for module in (model, *model.layers)] == [True, False, True]


def test_many_rows_are_thinned(monkeypatch):
    monkeypatch.setattr("deepseek.kernels.sparse.cluster.MAX_ROWS", 100)
    model, (x, _) = model_of_two(), rows_of_kinds(4000)
    cluster_gates(model, [x])
    assert float(active_frac(model, x).mean()) == pytest.approx(1 / KINDS, abs=0.05)


@pytest.mark.parametrize(
    ("inputs", "target", "sentence"),
    [
        ([], None, "at least one batch"),
        ([torch.ones(9, 12)], 0.0, "target above 0"),
        ([torch.ones(9, 12)], 1.5, "at most 1, got 1, 1.5"),
        ([torch.ones(9, 12)], None, "'layers.0.gate' gets fewer different finite rows than its 8 blocks"),
        ([torch.full((9, 12), torch.nan)], None, "finite rows"),
    ],
)
def test_what_does_not_fit_is_named(inputs, target, sentence):
    model = model_of_two()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DeepseekError, match=sentence):
        cluster_gates(model, inputs, target=target)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_fault_at_a_later_gate_undoes_the_earlier_ones():
    layers = (SparseFeedForward(12, 32) for _ in range(2))
    model, (x, _) = nn.Sequential(*layers), rows_of_kinds()
    model.insert(1, nn.Threshold(1e9, 0.0))  # the second gate gets zeros only
    before = gates_of(model)["0.gate"].weight.clone()
    with pytest.raises(DeepseekError, match=r"'2\.gate'"):
        cluster_gates(model, [x])
    assert torch.equal(gates_of(model)["0.gate"].weight, before)


def test_ordered_gates_are_refused():
    with pytest.raises(DeepseekError, match="are ordered"):
        cluster_gates(dsa_resnet18(), [torch.randn(2, 3, 32, 32)])
