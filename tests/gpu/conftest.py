"""These tests need a CUDA device and are skipped elsewhere."""

import os

import pytest
import torch

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # equal bits at every run, read with the first product


def pytest_collection_modifyitems(items):
    """Skip what stands in this folder where there is no GPU."""
    if not torch.cuda.is_available():
        for item in items:
            if item.path.parent.name == "gpu":
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture
def same_bits():
    """Equal computations give equal bits."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def on_the_gpu():
    """Make new tensors on the GPU."""
    torch.set_default_device("cuda")
    yield
    torch.set_default_device(None)
