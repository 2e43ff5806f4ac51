from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deepseek.inspector.record import StepRecord
from deepseek.inspector.runfile import RunWriter


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[[Sequence[StepRecord]], Path]:
    """Write a closed run and give its path."""

    def write(run: Sequence[StepRecord], name: str = "run.dsrun") -> Path:
        path = tmp_path / name
        writer = RunWriter(path, {"model": "Net"})
        writer.write(run)
        writer.close()
        return path

    return write
