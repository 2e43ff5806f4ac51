"""What DeepLIFT promises of any model."""

import pytest
import torch
from explained import Function, explain, make
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

SIZES = st.integers(1, 5)


@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 99))
def test_a_linear_model_gives_weight_times_difference(rows, references, features, outputs, seed):
    torch.manual_seed(seed)
    model = nn.Linear(features, outputs, dtype=torch.float64)
    x, background = torch.randn(rows, features).double(), torch.randn(references, features).double()
    expected = (x - background.mean(0))[..., None] * model.weight.T.detach()
    assert torch.allclose(explain(model, x, background).values["input"], expected, atol=1e-12)


@pytest.mark.parametrize("name", ["gating", "LayerNorm", "softmax output"])
def test_a_feature_that_the_model_never_uses_gets_nothing(name):
    case = make(name, torch.float64)

    class Without(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = case.model

        def forward(self, x):
            return self.model(torch.cat([x[:, :2], torch.zeros_like(x[:, 2:3]), x[:, 3:]], 1))

    found = explain(Without(), case.inputs, case.background).values["input"]
    assert (found[:, 2] == 0).all()
    assert (found[:, 0] != 0).all()


def test_the_attributions_of_a_weighted_sum_are_the_weighted_sum_of_the_attributions():
    torch.manual_seed(0)
    one, other = Function(lambda x: F.gelu(x)), Function(lambda x: x.softmax(-1))

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = one, other

        def forward(self, x):
            return 2 * self.one(x) - 3 * self.other(x)

    x, background = torch.randn(3, 6).double(), torch.randn(4, 6).double()
    parts = [explain(model.double(), x, background).values["input"] for model in (one, other)]
    assert torch.allclose(explain(Sum(), x, background).values["input"], 2 * parts[0] - 3 * parts[1])


def test_features_that_are_interchangeable_get_the_same():
    class Symmetric(nn.Module):
        def forward(self, x):
            a, b, c = x.T
            return torch.stack([torch.tanh(a * b) + torch.sigmoid(a + b) * c, torch.maximum(a + b, c)], 1)

    x, background = torch.tensor([[0.7, 0.7, -1.0]]), torch.tensor([[-0.2, -0.2, 0.5], [1.1, 1.1, 0.3]])
    found = explain(Symmetric(), x.double(), background.double()).values["input"]
    assert torch.allclose(found[:, 0], found[:, 1])
    assert not torch.allclose(found[:, 0], found[:, 2])


@pytest.mark.parametrize("name", ["softmax output", "batch norm", "MaxPool2d(3, 2)", "nn.TransformerEncoder", "LSTM"])
def test_the_attribution_of_a_row_does_not_depend_on_the_other_rows(name):
    case = make(name, torch.float64)
    together = explain(case.model, case.inputs, case.background).values["input"]
    for row in range(len(case.inputs)):
        alone = explain(case.model, case.inputs[row : row + 1], case.background).values["input"]
        assert torch.allclose(together[row], alone[0], rtol=1e-9, atol=1e-12)


def test_many_background_rows_are_the_mean_over_single_ones():
    case = make("nn.TransformerEncoder", torch.float64)
    rows = case.background["input"]
    single = [explain(case.model, case.inputs, rows[place : place + 1]) for place in range(len(rows))]
    found = explain(case.model, case.inputs, rows)
    assert torch.allclose(found.values["input"], sum(one.values["input"] for one in single) / len(rows))
    assert torch.allclose(found.base_values, sum(one.base_values for one in single) / len(rows))


@pytest.mark.parametrize("name", ["GELU", "LayerNorm", "MaxPool2d(2)", "maxima", "BERT", "softmax output"])
def test_a_row_that_equals_its_reference_gets_nothing_and_nothing_is_undefined(name):
    case = make(name, torch.float32)
    ((key, rows),) = case.background.items()
    mask = {"attention_mask": torch.ones_like(rows)} if key == "input_ids" else {}
    found = explain(case.model, {key: rows, **mask} if mask else rows, rows[:1])
    assert (found.values[key][0].abs() < 1e-6).all()
    assert torch.isfinite(found.values[key]).all()


@pytest.mark.parametrize("shape", [(6,), (2, 12, 12)])
def test_where_shap_is_right_the_values_are_the_same(shape):
    shap = pytest.importorskip("shap")
    case = make("nn.ReLU" if len(shape) == 1 else "MaxPool2d(2)", torch.float32)
    reference = shap.DeepExplainer(case.model, case.background["input"]).shap_values(case.inputs)
    found = explain(case.model, case.inputs, case.background).values["input"]
    assert torch.allclose(found, torch.as_tensor(reference).double(), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(2, 4, 3, 2, padding=1, groups=2), (2, 10)),
        (nn.Conv2d(2, 4, (3, 2), (2, 3), padding="valid", dilation=(1, 2)), (2, 8, 9)),
        (nn.Conv2d(2, 4, 3, padding="same"), (2, 6, 6)),
        (nn.Conv2d(2, 4, 1, 2, bias=False), (2, 6, 6)),
        (nn.Conv3d(2, 3, 2, 2), (2, 5, 4, 4)),
        (nn.ConvTranspose2d(2, 4, 3, 2, padding=1, output_padding=1), (2, 4, 4)),
        (nn.ConvTranspose1d(2, 4, 3, 3, dilation=2), (2, 5)),
    ],
)
def test_convolutions_pass_on_their_derivative(layer, shape):
    torch.manual_seed(0)
    model = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(3)).double()
    x, background = torch.randn(2, *shape).double(), torch.randn(3, *shape).double()
    found = explain(model, x, background).values["input"]
    with torch.no_grad():
        slopes = torch.func.vmap(torch.func.jacrev(lambda row: model(row[None])[0]))(x)  # linear: the same everywhere
        expected = slopes.movedim(1, -1) * (x - background.mean(0))[..., None]
    assert torch.allclose(found, expected, atol=1e-12)
