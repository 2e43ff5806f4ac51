from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deepseek.inspector.detail import Detail
from deepseek.inspector.record import StepRecord
from deepseek.inspector.runfile import RunWriter


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[[Sequence[StepRecord]], Path]:
    """Write a closed run and give its path."""

    def write(run: Sequence[StepRecord], name: str = "run.dsrun", details: Sequence[Detail] = ()) -> Path:
        path = tmp_path / name
        writer = RunWriter(path, {"model": "Net"})
        writer.write(run)
        if details:
            writer.add_details(details)
        writer.close()
        return path

    return write
