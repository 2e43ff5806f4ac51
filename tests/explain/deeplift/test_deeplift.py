"""Inputs, targets, memory, and what is left of a model afterwards."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from explained import Function, explain, make, relative_gap
from torch import nn
from torch.nn import functional as F

from deepseek.explain.call import Call
from deepseek.explain.deeplift import deeplift, memory, rules, work
from deepseek.explain.deeplift.operation import Operation
from deepseek.explain.target import Chooser


def test_token_ids_get_one_number_each_and_masks_belong_to_the_rows():
    case = make("BERT", torch.float64)
    mask = torch.ones_like(case.inputs["attention_mask"])
    mask[1, 4:] = 0
    found = explain(case.model, {**case.inputs, "attention_mask": mask}, case.background)
    assert found.values["input_ids"].shape == (2, 7, 2)
    assert relative_gap(found) < 1e-10
    assert (found.values["input_ids"][1, 4:] == 0).all()
    references = case.background["input_ids"]
    with torch.no_grad():
        for row in range(2):
            masks = mask[row].expand_as(references)
            expected = case.model(input_ids=references, attention_mask=masks).mean(0)
            assert torch.allclose(found.base_values[row], expected)


class Mixed(nn.Module):
    """A number and a category that differs from row to row and is not explained."""

    def __init__(self):
        super().__init__()
        self.embed, self.hidden, self.last = nn.Embedding(5, 4), nn.Linear(10, 8), nn.Linear(8, 3)

    def forward(self, x, kind, unused=None):
        return self.last(F.gelu(self.hidden(torch.cat([x, self.embed(kind)], 1))))


def test_other_inputs_keep_what_they_are_in_each_row():
    torch.manual_seed(0)
    model, x, kind, background = (
        Mixed().double(),
        torch.randn(4, 6).double(),
        torch.tensor([0, 3, 0, 4]),
        torch.randn(5, 6),
    )
    found = explain(model, {"x": x, "kind": kind}, {"x": background.double()})
    with torch.no_grad():
        expected = torch.stack([model(background.double(), one.expand(5)).mean(0) for one in kind])
    assert torch.allclose(found.base_values, expected)
    assert relative_gap(found) < 1e-12
    assert list(found.values) == ["x"]


def test_an_input_that_is_not_used_gets_zeros():
    torch.manual_seed(0)
    x = torch.randn(4, 6)
    found = explain(
        Mixed(),
        {"x": x, "kind": torch.tensor([0, 3, 0, 4]), "unused": torch.randn(4, 2)},
        {"x": x[:2], "unused": torch.randn(2, 2)},
    )
    assert found.values["unused"].shape == (4, 2, 3)
    assert not found.values["unused"].any()


@pytest.mark.parametrize(
    ("target", "take"),
    [
        (1, lambda out: out[:, 1:2]),
        (None, lambda out: out),
        ([2, 0, 1], lambda out: out.gather(1, torch.tensor([[2], [0], [1]]))),
        (lambda out: out.softmax(1)[:, 0] - out[:, 1], lambda out: (out.softmax(1)[:, 0] - out[:, 1])[:, None]),
    ],
)
def test_targets(target, take):
    case = make("GELU", torch.float64)
    found = explain(case.model, case.inputs, case.background, target)
    with torch.no_grad():
        assert torch.allclose(found.outputs, take(case.model(case.inputs)))
    assert relative_gap(found) < 1e-12


def test_targets_of_each_row_give_what_these_outputs_give_alone():
    case = make("LayerNorm", torch.float64)
    together = explain(case.model, case.inputs, case.background).values["input"]
    chosen = explain(case.model, case.inputs, case.background, [2, 0, 1]).values["input"]
    assert torch.allclose(chosen[..., 0], torch.stack([together[row, :, place] for row, place in enumerate((2, 0, 1))]))


@pytest.mark.parametrize("limit", [1, 3_000, 20_000])
def test_a_memory_limit_changes_nothing_but_the_pieces(limit):
    case, pairs = make("nn.TransformerEncoder", torch.float64), []
    whole = explain(case.model, case.inputs, case.background, advance=pairs.append)
    pieces = explain(case.model, case.inputs, case.background, memory_bytes=limit, advance=pairs.append)
    assert torch.allclose(whole.values["input"], pieces.values["input"], rtol=1e-9, atol=1e-12)
    assert torch.allclose(whole.base_values, pieces.base_values)
    assert sum(pairs) == 2 * 3 * 4


@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of the process from Linux")
@pytest.mark.parametrize("outputs", [1, 10])
def test_memory_stays_near_the_limit(outputs):
    """In a process of its own: how far its largest size grows beyond that of a run with hardly any pairs at once."""
    grown = {limit: _grown_bytes(limit, outputs) for limit in (1, 2**26)}
    print(grown)
    assert 2**24 < grown[2**26] - grown[1] < 1.5 * 2**26


def test_pieces_are_halved_as_often_as_memory_does_not_suffice(monkeypatch):
    case, sizes = make("GELU", torch.float64), []
    whole = explain(case.model, case.inputs, case.background)

    def share_out(program, actual, references, seeds, per_row):
        size = len(next(iter(actual.values()))) * len(next(iter(references.values()))) * len(seeds)
        sizes.append(size)
        if size > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(program, actual, references, seeds, per_row)

    original = work.share_out
    monkeypatch.setattr(work, "share_out", share_out)
    halved = explain(case.model, case.inputs, case.background)
    assert torch.allclose(whole.values["input"], halved.values["input"])
    assert torch.allclose(whole.base_values, halved.base_values)
    assert sizes[0] == 3 * 4 * 3
    assert sum(size for size in sizes if size <= 4) == 3 * 4 * 3


def test_too_little_memory_for_a_single_pair_is_told(monkeypatch):
    def share_out(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 7 bytes.")

    monkeypatch.setattr(work, "share_out", share_out)
    case = make("GELU", torch.float64)
    with pytest.raises(RuntimeError, match="allocate memory"):
        explain(case.model, case.inputs, case.background)


def test_each_background_row_is_run_once(monkeypatch):
    counts, original = [], work.run_references

    def run_references(program, background, context):
        counts.append(len(background["input"]))
        return original(program, background, context)

    monkeypatch.setattr(work, "run_references", run_references)
    case = make("GELU", torch.float64)
    explain(case.model, case.inputs, case.background, memory_bytes=1)
    *explaining, compared = counts
    assert sum(explaining) == 4
    assert compared == 2  # with what the model itself gives


def test_a_large_gap_is_traced_to_the_operation(monkeypatch):
    """With a rule for GELU that is off by a tenth, and all others right."""
    exact = rules.UNARY["gelu"]
    monkeypatch.setitem(rules.UNARY, "gelu", lambda *given, **options: 1.1 * exact(*given, **options))

    class Layers(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = Function(lambda x: x.tanh()), nn.Sequential(nn.GELU())

        def forward(self, x):
            return self.second(self.first(x)).exp()

    torch.manual_seed(0)
    found = explain(Layers().double(), torch.randn(3, 6).double(), torch.randn(4, 6).double())
    (note,) = found.notes
    worst = int(found.gap.abs().argmax())
    assert f"in row {worst // 3}, output {worst % 3}: aten.gelu in module `second.0`" in note


def test_a_model_is_left_as_it_was():
    case = make("ResNet", torch.float32)
    case.model.train()
    case.model[1].eval()
    case.model[0].weight.grad = torch.ones_like(case.model[0].weight)
    state, modes = copy.deepcopy(case.model.state_dict()), [module.training for module in case.model.modules()]
    flags, numbers = _flags(), torch.get_rng_state()
    explain(case.model, case.inputs, case.background)
    assert all(torch.equal(tensor, state[name]) for name, tensor in case.model.state_dict().items())
    assert [module.training for module in case.model.modules()] == modes
    assert (case.model[0].weight.grad == 1).all()
    assert all(parameter.grad is None for name, parameter in case.model.named_parameters() if name != "0.weight")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in case.model.modules())
    assert not nn.modules.module._global_forward_hooks
    assert not nn.modules.module._global_forward_pre_hooks
    assert _flags() == flags
    assert torch.equal(torch.get_rng_state(), numbers)


def test_inputs_are_not_changed_by_models_that_work_in_place():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 2))
    x, background = torch.randn(3, 6), torch.randn(2, 6)
    kept = x.clone(), background.clone()
    with torch.no_grad():
        chooser = Chooser(None, model(x.clone()), 3)
    found = deeplift(Call(model.eval(), x), {"input": background}, chooser)
    assert torch.equal(x, kept[0])
    assert torch.equal(background, kept[1])
    assert found.gap.abs().max() < 1e-6


def test_blocks_cover_everything_once():
    block = memory.Block(range(5), range(3), range(2))
    pieces = [block]
    while any(piece.halves() for piece in pieces):
        pieces = [half for piece in pieces for half in (piece.halves() or (piece,))]
    cells = [(*piece.rows, *piece.background, *piece.outputs) for piece in pieces]
    assert len(cells) == len(set(cells)) == 5 * 3 * 2


def test_an_operation_is_named_as_people_know_it():
    graph = torch.fx.Graph()
    node = graph.call_function(torch.ops.aten.gelu.default, (graph.placeholder("x"),))
    node.meta["module"] = "head.act"
    assert Operation(node, ()).place == "aten.gelu in module `head.act`"


def _grown_bytes(limit, outputs):
    script = f"""
import pathlib, re, torch
from explained import explain
from torch import nn
size = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024
torch.set_num_threads(1)
body = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.GELU()]
model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, {outputs}))
x = torch.randn(16, 3, 32, 32)
explain(model, x[:1], x[:1], memory_bytes=1)
before = size()
explain(model, x, x[:4], memory_bytes={limit})
print(size() - before)
"""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(ran.stdout)


def _flags():
    return torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled
