"""Attributions account for the whole output, on every architecture."""

import pytest
import torch
from explained import CASES, call, explain, make, relative_gap

from deepseek.explain.output import main_output

BARS = {torch.float64: 1e-10, torch.float32: 1e-5}


@pytest.mark.parametrize("dtype", BARS, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_the_values_add_up_to_the_distance_from_the_base_value(name, dtype):
    case = make(name, dtype)
    found = explain(case.model, case.inputs, case.background)
    # Llama computes its norms in float32, whatever it is given.
    assert relative_gap(found) <= (1e-6 if (name, dtype) == ("Llama", torch.float64) else BARS[dtype])
    assert not found.notes
    with torch.no_grad():
        expected = main_output(call(case.model, case.inputs)).double()
    assert torch.allclose(found.outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["LSTM", "ViT", "MaxPool2d(3, 2)", "nn.TransformerEncoder"])
def test_base_values_are_the_mean_output_over_the_background(name):
    case = make(name, torch.float64)
    found = explain(case.model, case.inputs, case.background)
    with torch.no_grad():
        reference = case.background if isinstance(case.inputs, dict) else case.background["input"]
        expected = main_output(call(case.model, reference)).mean(0)
    assert torch.allclose(found.base_values, expected.expand_as(found.base_values))
