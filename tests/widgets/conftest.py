"""Reports that are opened at their graph."""

import pytest
import torch
from graph_page import Graph

import deepseek
from deepseek.widgets.report import write_report


def loss_of(output):
    if isinstance(output, torch.Tensor):
        return output.float().square().mean()
    return loss_of(output.logits if hasattr(output, "logits") else output[0])


@pytest.fixture
def graph_of(open_page, tmp_path):
    """Return a function that trains a model for three steps and opens the graph of its report."""

    def open_it(model, inputs, scheme="light"):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with deepseek.inspect(model, optimizer, every=1, run=tmp_path / "r.dsrun") as session:
            for _ in range(3):
                loss_of(model(**inputs) if isinstance(inputs, dict) else model(inputs)).backward()
                optimizer.step()
                optimizer.zero_grad()
            session.report(tmp_path / "run.html")
        return Graph(open_page(tmp_path / "run.html", scheme))

    return open_it


@pytest.fixture
def graph_of_recording(open_page, tmp_path):
    """Return a function that opens the graph in the report of a recording."""

    def open_it(recording, scheme="light", **options):
        return Graph(open_page(write_report(recording, tmp_path / "run.html"), scheme, **options))

    return open_it
