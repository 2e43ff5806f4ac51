"""Every way in which models are called and answer, explained by every method: all are linear, so the values are known.

shap and captum fail on most of these: dicts, dataclasses, one-dimensional outputs, float64, unused inputs, token ids.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from deepseek.errors import DeepseekError
from deepseek.explain import Features, attribute, faithfulness, shap

CHANCE = torch.Generator().manual_seed(0)
NUMBERS, BACKGROUND = torch.randn(2, 4, generator=CHANCE), torch.randn(3, 4, generator=CHANCE)
IDS, OTHER_IDS = torch.randint(10, (2, 4), generator=CHANCE), torch.randint(10, (3, 4), generator=CHANCE)
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
WEIGHT, TABLE = torch.randn(4, 3, generator=CHANCE), torch.randn(10, 3, generator=CHANCE)


class Net(nn.Module):
    """Linear in numbers and in what ids are embedded as; called and answering as a function says."""

    def __init__(self, function):
        super().__init__()
        self.weight = nn.Parameter(WEIGHT.clone())
        self.embedding = nn.Embedding.from_pretrained(TABLE.clone(), freeze=False)
        self.function = function

    def forward(self, *arguments, **named):
        return self.function(self, *arguments, **named)

    def of(self, numbers):
        return numbers @ self.weight


@dataclass
class Answer:
    hidden: torch.Tensor
    logits: torch.Tensor


@dataclass(slots=True)
class Slots:
    ids: torch.Tensor
    scores: torch.Tensor


class Named(NamedTuple):
    ids: torch.Tensor
    scores: torch.Tensor


class Case(NamedTuple):
    """A model's function, what it is called with, what stands for absent features, and the weight of every feature."""

    function: Any
    inputs: Any
    background: Any
    weight: Any = WEIGHT
    options: dict = {}
    of_ids: bool = False
    dtype: Any = torch.float32


def model_output(net, x):
    outputs = pytest.importorskip("transformers.modeling_outputs")
    return outputs.SequenceClassifierOutput(logits=net.of(x), hidden_states=(x,))


def of_ids(net, ids, mask=None):
    vectors = net.embedding(ids)
    return (vectors if mask is None else vectors * mask[..., None]).sum(1)


def encoding(values):
    return pytest.importorskip("transformers").BatchEncoding(values)


class Frames:
    columns = ("age", "bmi", "dose", "site")
    rows = pd.DataFrame(NUMBERS.numpy(), columns=columns)
    background = pd.DataFrame(BACKGROUND.numpy(), columns=columns)[["site", "age", "dose", "bmi"]]


CASES = {
    "tensor": Case(lambda net, x: net.of(x), NUMBERS, BACKGROUND),
    "tuple": Case(lambda net, x, ids: net.of(x) + of_ids(net, ids), (NUMBERS, IDS), (BACKGROUND,)),
    "dict": Case(lambda net, *, x, ids: net.of(x) + of_ids(net, ids), {"x": NUMBERS, "ids": IDS}, {"x": BACKGROUND}),
    "keywords that are no tensors": Case(
        lambda net, x, scale=1.0, mask=None, flags=(): net.of(x) * scale,
        {"x": NUMBERS, "scale": 2.0, "mask": None, "flags": [True]},
        BACKGROUND,
        2 * WEIGHT,
    ),
    "tensor without rows": Case(
        lambda net, x, mixed: net.of(x) @ mixed, {"x": NUMBERS, "mixed": 2 * torch.eye(3)}, BACKGROUND, 2 * WEIGHT
    ),
    "BatchEncoding": Case(
        lambda net, input_ids, attention_mask: of_ids(net, input_ids, attention_mask),
        encoding({"input_ids": IDS, "attention_mask": MASK}),
        OTHER_IDS,
        of_ids=True,
    ),
    "ids alone": Case(of_ids, IDS, OTHER_IDS, of_ids=True),
    "bool mask": Case(
        lambda net, x, keep: net.of(x.masked_fill(~keep[:, None], 0.0)),
        {"x": NUMBERS, "keep": torch.tensor([True, True])},
        BACKGROUND,
    ),
    "unused input": Case(lambda net, x, unused: net.of(x), (NUMBERS, IDS), (BACKGROUND,)),
    "dataclass": Case(lambda net, x: Answer(x, net.of(x)), NUMBERS, BACKGROUND),
    "dataclass with slots": Case(lambda net, x: Slots(x.long(), net.of(x)), NUMBERS, BACKGROUND),
    "ModelOutput": Case(model_output, NUMBERS, BACKGROUND),
    "named tuple": Case(lambda net, x: Named(x.long(), net.of(x)), NUMBERS, BACKGROUND),
    "object": Case(lambda net, x: SimpleNamespace(logits=net.of(x)), NUMBERS, BACKGROUND),
    "dict of outputs": Case(lambda net, x: {"loss": None, "scores": net.of(x)}, NUMBERS, BACKGROUND),
    "1-D output": Case(lambda net, x: net.of(x)[:, 0], NUMBERS, BACKGROUND, WEIGHT[:, 0]),
    "outputs of two dimensions": Case(
        lambda net, x: net.of(x)[:, :, None] * torch.tensor([1.0, 3.0]),
        NUMBERS,
        BACKGROUND,
        (WEIGHT[:, :, None] * torch.tensor([1.0, 3.0])).flatten(1),
    ),
    "float64": Case(lambda net, x: net.of(x), NUMBERS.double(), BACKGROUND.double(), dtype=torch.float64),
    "background of another dtype": Case(lambda net, x: net.of(x), NUMBERS, BACKGROUND.double().numpy()),
    "target": Case(lambda net, x: net.of(x), NUMBERS, BACKGROUND, WEIGHT[:, 1], {"target": 1}),
    "target of two dimensions": Case(
        lambda net, x: net.of(x)[:, None], NUMBERS, BACKGROUND, WEIGHT[:, 2], {"target": (0, 2)}
    ),
    "target for each row": Case(
        lambda net, x: net.of(x), NUMBERS, BACKGROUND, WEIGHT.T[[2, 0]], {"target": torch.tensor([2, 0])}
    ),
    "function as target": Case(
        lambda net, x: (x, [net.of(x)]), NUMBERS, BACKGROUND, WEIGHT.sum(1), {"target": lambda out: out[1][0].sum(1)}
    ),
    "frame": Case(lambda net, x: net.of(x), Frames.rows, Frames.background),
}


def expected(case, background=None):
    """Weight times distance from the background; for ids, the distance between what they are embedded as."""
    if case.of_ids:
        background = OTHER_IDS if background is None else background
        mask = MASK[..., None] if not isinstance(case.inputs, torch.Tensor) else 1
        return (TABLE[IDS] - TABLE[background].mean(0)) * mask
    distance = NUMBERS - (BACKGROUND if background is None else background).mean(0)
    if case.weight.shape == distance.shape:
        return distance * case.weight
    return distance[..., None] * case.weight if case.weight.dim() == 2 else distance * case.weight


def first_row(case):
    """The first row of the background, as it is given."""
    given = case.background
    if isinstance(given, dict):
        return {name: rows[:1] for name, rows in given.items()}
    return tuple(rows[:1] for rows in given) if isinstance(given, tuple) else given[:1]


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture
def net(case):
    return Net(case.function).to(case.dtype)


@pytest.mark.parametrize("method", ["exact", "kernel", "permutation", "expected_gradients", "deeplift"])
def test_shap_finds_what_is_known(case, net, method):
    found = shap(net, case.inputs, case.background, method=method, progress=False, **case.options)
    np.testing.assert_allclose(found.values, expected(case), atol=1e-5)
    assert found.relative_gap < 1e-5
    assert found.method == method


def test_integrated_gradients_find_what_is_known(case, net):
    pytest.importorskip("captum")
    found = attribute(net, case.inputs, baseline=first_row(case), **case.options)
    rows = (OTHER_IDS if case.of_ids else BACKGROUND)[:1]
    np.testing.assert_allclose(found.values, expected(case, rows), atol=1e-4)
    assert found.relative_gap < 1e-3


def test_faithfulness_takes_the_same(case, net):
    target = case.options.get("target", lambda out: _first(out))
    found = shap(net, case.inputs, case.background, target=target, progress=False)
    report = faithfulness(net, case.inputs, found, case.background, target=target, fills=["background"], randoms=4)
    curves = report.curves["background"]
    np.testing.assert_allclose([curves["insertion"][0], curves["insertion"][-1]], [0, 1], atol=1e-6)
    assert curves["insertion"].mean() >= curves["random insertion"].mean()


def _first(output):
    from deepseek.explain.output import main_output

    made = main_output(output)
    return made.reshape(len(made), -1)[:, 0]


def test_frames_bring_the_names_of_their_columns():
    case = CASES["frame"]
    found = shap(Net(case.function), case.inputs, case.background, progress=False)
    assert found.feature_names == Frames.columns
    assert attribute(Net(case.function), case.inputs, baseline=case.background[:1]).feature_names == Frames.columns


def test_a_model_that_gets_unknown_whole_numbers_is_refused_by_gradients():
    counts = nn.Module()
    counts.forward = lambda ids: ids.sum(1).float()
    with pytest.raises(DeepseekError, match=r"one nn.Embedding that reads.*permutation"):
        shap(counts, IDS, OTHER_IDS, method="expected_gradients", progress=False)
    with pytest.raises(DeepseekError, match="baseline"):
        attribute(Net(of_ids), IDS)


def test_features_made_by_hand_say_what_is_explained_and_what_it_is_called():
    inputs = {"x": NUMBERS, "ids": IDS}
    net = Net(lambda net, x, ids: net.of(x) + of_ids(net, ids))
    known = Features(inputs, groups={"ids": [0, 0, 1, -1]}, names=("front", "back"), background={"ids": OTHER_IDS})
    found = shap(net, known, progress=False)
    assert found.feature_names == ("front", "back")
    single = (TABLE[IDS] - TABLE[OTHER_IDS].mean(0)).numpy()
    np.testing.assert_allclose(found.values, np.stack([single[:, :2].sum(1), single[:, 2]], 1), atol=1e-5)


@pytest.mark.parametrize("method", ["exact", "kernel", "expected_gradients"])
def test_numbers_and_ids_are_explained_together_where_groups_name_both(method):
    net = Net(lambda net, x, ids: net.of(x) + of_ids(net, ids))
    both = Features({"x": NUMBERS, "ids": IDS}, groups={"x": [0, 0, 1, 2], "ids": [3, 4, 5, 2]})
    found = shap(net, both, {"x": BACKGROUND, "ids": OTHER_IDS}, method=method, progress=False)
    numbers = ((NUMBERS - BACKGROUND.mean(0))[..., None] * WEIGHT).numpy()
    ids = (TABLE[IDS] - TABLE[OTHER_IDS].mean(0)).numpy()
    parts = [numbers[:, :2].sum(1), numbers[:, 2], numbers[:, 3] + ids[:, 3], ids[:, 0], ids[:, 1], ids[:, 2]]
    np.testing.assert_allclose(found.values, np.stack(parts, 1), atol=1e-5)
