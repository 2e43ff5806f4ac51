"""How a graph is captured."""

import pytest
import torch
from graph_models import loss_of

from deepseek.inspector import inspect, open_run


@pytest.fixture
def captured(tmp_path):
    """Train a model for two steps; give its graph, which the run file has as well."""

    def capture(model, *args, **kwargs):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with inspect(model, optimizer, every=1, run=tmp_path / "x.dsrun") as session:
            for _ in range(2):
                loss_of(model(*args, **kwargs)).backward()
                optimizer.step()
            graph = session.graph()
        with open_run(tmp_path / "x.dsrun") as run:
            assert run.graph() == graph
        return graph

    return capture
