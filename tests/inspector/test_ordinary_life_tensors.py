"""Every kind of tensor that a layer may return or a parameter may be: watched, never disturbed, never failing."""

import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ordinary import counts, hooks, watch
from torch import nn

warnings.filterwarnings("ignore", message=".*(Sparse|nested|quantiz).*")


class Returning(nn.Module):
    """A layer that returns what a function makes of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Tagged(torch.Tensor):
    """A subclass without behaviour of its own."""


class Logged(torch.Tensor):
    """A subclass that refuses some functions."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function.__name__ in {"sum", "norm", "min", "max", "mean"}:
            raise TypeError("not for this tensor")
        return super().__torch_function__(function, types, args, kwargs)


@dataclass
class Output:
    logits: torch.Tensor
    note: str
    scores: np.ndarray


def quantised(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(x.detach(), 0.1, 0, torch.qint8)


def nested(x, layout):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([x[:2].detach(), x[2:].detach()], layout=layout)


TENSORS = {
    "empty": lambda x: x[:0],
    "scalar": lambda x: x.sum(),
    "complex": lambda x: torch.complex(x, x),
    "bool": lambda x: x > 0,
    "int": lambda x: (x * 10).to(torch.int32),
    "uint8": lambda x: (x > 0).to(torch.uint8),
    "uint16": lambda x: (x > 0).to(torch.uint16),
    "half": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "float8": lambda x: x.detach().to(torch.float8_e4m3fn),
    "double": lambda x: x.double(),
    "sparse_coo": lambda x: x.relu().to_sparse(),
    "sparse_csr": lambda x: x.detach().relu().to_sparse_csr(),
    "meta": lambda x: torch.empty(5, 4, device="meta"),
    "nested_strided": lambda x: nested(x, torch.strided),
    "nested_jagged": lambda x: nested(x, torch.jagged),
    "quantised": quantised,
    "huge_rank": lambda x: x[(..., *[None] * 60)],
    "transposed": lambda x: x.t(),
    "strided": lambda x: x[::2, ::2],
    "expanded": lambda x: x[:1].expand(1000, 4),
    "flipped": lambda x: x.flip(0),
    "conjugate": lambda x: torch.complex(x, x).conj(),
    "negated": lambda x: torch.complex(x, x).conj().imag,
    "subclass": lambda x: x.as_subclass(Tagged),
    "refusing_subclass": lambda x: x.as_subclass(Logged),
    "parameter": lambda x: nn.Parameter(x.detach().clone()),
    "detached": lambda x: x.detach(),
    "inference": lambda x: _inference(x),
    "not_finite": lambda x: x / 0,
    "none": lambda x: None,
    "itself": lambda x: x,
    "in_place": lambda x: x.mul_(2),
    "text": lambda x: "nothing",
    "array": lambda x: x.detach().numpy(),
    "mixed": lambda x: {"a": x, "b": [None, "text", np.ones(3), {"deep": x + 1}], 3: (x, 1.5)},
    "dataclass": lambda x: Output(x, "note", np.ones(3)),
    "namespace": lambda x: SimpleNamespace(logits=x),
    "cyclic": lambda x: _cyclic(x),
    "deep": lambda x: [[[[[[[[[[x]]]]]]]]]],
    "generator": lambda x: (part for part in x),
}


def _inference(x):
    with torch.inference_mode():
        return x.detach() * 2


def _cyclic(x):
    found = [x]
    found.append(found)
    return found


def run(function, folder=None):
    """Three steps of a model that has an odd layer beside its way to the loss."""
    torch.manual_seed(0)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 4)
            self.odd = Returning(function)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            hidden = self.inner(x)
            self.last = self.odd(hidden * 1)
            used = self.last if isinstance(self.last, torch.Tensor) else None
            y = self.head(hidden).sum()
            if used is not None and used.requires_grad and used.layout is torch.strided and used.numel():
                y = y + used.as_subclass(torch.Tensor).abs().float().sum().clamp(max=100)
            return y

    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    session = watch(model, optimizer, folder) if folder else None
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(torch.linspace(-1, 1, 20).reshape(5, 4))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses, session


@pytest.mark.parametrize("name", TENSORS)
def test_no_kind_of_output_disturbs_training_or_switches_a_probe_off(tmp_path, caplog, name):
    plain, expected, _ = run(TENSORS[name])
    watched, losses, session = run(TENSORS[name], tmp_path)
    session.close()
    assert str(losses) == str(expected)
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other) or (one.isnan() == other.isnan()).all()
    assert [record.getMessage() for record in caplog.records] == []
    assert counts(session)[2]["head"] == counts(session)[2]["inner"] == 1
    assert hooks(watched) == 0


@pytest.mark.parametrize("name", ["empty", "meta", "complex", "nested_jagged", "quantised", "refusing_subclass"])
def test_what_cannot_be_summarised_keeps_its_row_with_the_layout(tmp_path, name):
    _, _, session = run(TENSORS[name], tmp_path)
    session.close()
    rows = session.frame("activation").query("site == 'odd'")
    assert len(rows) == 3
    assert set(rows["dtype"]) <= {"float32", "complex64", "qint8"}


@pytest.mark.parametrize(
    ("name", "sites"),
    [
        ("mixed", ["odd", "odd:3.0", "odd:b.3.deep"]),
        ("dataclass", ["odd"]),
        ("none", []),
        ("text", []),
        ("array", []),
        ("itself", ["odd"]),
    ],
)
def test_the_tensors_inside_an_output_are_found(tmp_path, name, sites):
    _, _, session = run(TENSORS[name], tmp_path)
    session.close()
    found = set(session.frame("activation")["site"])
    assert sorted(site for site in found if site.startswith("odd")) == sorted(sites)


def test_an_output_overwritten_in_place_keeps_the_numbers_it_had(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs = torch.linspace(-1, 1, 20).reshape(5, 4)
    expected = model[0](inputs).min().item()
    with watch(model, optimizer, tmp_path) as session:
        model(inputs).sum().backward()
        optimizer.step()
    assert expected < 0
    assert session.frame("activation").query("site == '0'")["min"].item() == pytest.approx(expected)


PARAMETERS = {
    "complex": lambda: torch.randn(3, dtype=torch.complex64),
    "double": lambda: torch.randn(3, dtype=torch.float64),
    "bfloat16": lambda: torch.randn(3, dtype=torch.bfloat16),
    "scalar": lambda: torch.randn(()),
    "empty": lambda: torch.randn(0, 3),
    "transposed": lambda: torch.randn(4, 3).t(),
    "subclass": lambda: torch.randn(3).as_subclass(Tagged),
    "huge_rank": lambda: torch.randn(2)[(..., *[None] * 40)],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_kind_of_parameter_can_be_watched(tmp_path, caplog, name):
    states = []
    for folder in (None, tmp_path):
        torch.manual_seed(0)
        model = nn.Linear(2, 1)
        model.extra = nn.Parameter(PARAMETERS[name]())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        session = watch(model, optimizer, folder) if folder else None
        for _ in range(3):
            optimizer.zero_grad()
            (model(torch.ones(3, 2)).sum() + model.extra.abs().sum()).backward()
            optimizer.step()
        states.append([parameter.detach().clone() for parameter in model.parameters()])
    session.close()
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
    assert [record.getMessage() for record in caplog.records] == []
    assert counts(session, "gradient")[2]["extra"] == 1
    assert counts(session, "update")[2]["extra"] == 1


def test_sparse_gradients_are_recorded_and_stay_sparse(tmp_path, caplog):
    model = nn.Embedding(100, 4, sparse=True)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.1)
    with watch(model, optimizer, tmp_path) as session:
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.tensor([1, 5, 5])).sum().backward()
            assert model.weight.grad.is_sparse
            optimizer.step()
    gradient = session.frame("gradient").iloc[0]
    assert gradient["l2"] == pytest.approx(model.weight.grad.to_dense().norm().item())
    assert caplog.records == []


def test_a_parameter_without_a_gradient_has_no_gradient_row(tmp_path):
    model = nn.Linear(2, 1)
    model.unused = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, tmp_path) as session:
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert set(session.frame("gradient")["site"]) == {"weight", "bias"}


def test_a_meta_model_can_be_called_under_a_session(tmp_path, caplog):
    model = nn.Sequential(nn.Linear(4, 8, device="meta"), nn.ReLU())
    with watch(model, None, tmp_path) as session:
        for _ in range(2):
            model(torch.empty(3, 4, device="meta"))
    assert counts(session)[0] == {"0": 1, "1": 1}
    assert session.frame("activation")["shape"].iloc[0] == (3, 8)
    assert caplog.records == []
