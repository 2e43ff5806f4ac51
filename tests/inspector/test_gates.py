"""What a session tells about sparse gates."""

import pytest
import torch
from torch import nn

import deepseek
from deepseek.kernels import SparseFeedForward, dsa_resnet18


def train(model: nn.Module, steps: int, *shape: int, path, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with deepseek.inspect(model, optimizer, every=1, run=path, **options):
        for _ in range(steps):
            model.train()
            optimizer.zero_grad()
            model(torch.randn(*shape)).square().mean().backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                model(torch.randn(*shape))
    return deepseek.open_run(path)


def test_the_gate_table_holds_the_share_of_open_blocks(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), SparseFeedForward(8, 32, blocks=4))
    shares = []
    model[1].gate.register_forward_hook(lambda _gate, _inputs, mask: shares.append(float(mask.detach().mean())))
    run = train(model, 3, 5, 7, 6, path=tmp_path / "gates.dsrun")
    table = run.frame("gate")
    assert list(table.columns) == ["step", "site", "call", "during", "rows", "blocks", "active_frac"]
    assert set(table["site"]) == {"1.gate"}
    training, evaluation = (table[table["during"] == kind] for kind in ("training", "evaluation"))
    assert training["step"].tolist() == [0, 1, 2]
    assert training["rows"].tolist() == [35] * 3
    assert training["blocks"].tolist() == [4] * 3
    assert training["active_frac"].tolist() == pytest.approx(shares[0::2])
    assert evaluation["active_frac"].tolist() == pytest.approx(shares[1::2][: len(evaluation)])
    assert len(evaluation) >= 2


def test_without_gates_the_table_is_empty(tmp_path):
    run = train(nn.Linear(3, 3), 2, 4, 3, path=tmp_path / "none.dsrun")
    assert run.frame("gate").empty


def test_a_gate_that_never_changes_its_mind_is_found(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), SparseFeedForward(8, 32, blocks=4), SparseFeedForward(8, 32, blocks=4))
    with torch.no_grad():
        model[1].gate.weight.zero_()
        model[1].gate.bias.copy_(torch.tensor([3.0, -3.0, 3.0, -3.0]))
    run = train(model, 6, 300, 6, path=tmp_path / "constant.dsrun")
    (finding,) = [finding for finding in run.findings if finding.rule == "constant_gate"]
    assert finding.site == "1.gate"
    assert finding.message.startswith("1.gate opened the same 2 of 4 blocks")
    assert finding.evidence["closed_blocks"] == "1, 3"


@pytest.mark.parametrize("make", [lambda: SparseFeedForward(8, 32, blocks=4), lambda: dsa_resnet18(width=8)])
def test_watching_gates_leaves_training_alone_to_the_last_bit(make, tmp_path):
    def trained(path=None):
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        shape = (20, 8) if isinstance(model, SparseFeedForward) else (4, 3, 8, 8)
        session = deepseek.inspect(model, optimizer, every=1, run=path) if path else None
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(shape)).square().mean().backward()
            optimizer.step()
        if session:
            session.close()
        return [value.clone() for value in model.state_dict().values()], torch.get_rng_state()

    (bare, state), (watched, watched_state) = trained(), trained(tmp_path / "watched.dsrun")
    assert torch.equal(state, watched_state)
    assert all(torch.equal(a, b) for a, b in zip(bare, watched, strict=True))
