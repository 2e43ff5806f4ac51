"""All tests of explanations compute small models."""

import pytest


@pytest.fixture(autouse=True)
def on_one_thread(one_thread):
    pass
