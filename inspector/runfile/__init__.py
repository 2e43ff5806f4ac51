"""Run files: a training run on disk, written while it happens, readable at any time, safe to open from anyone."""

from deepseek.inspector.runfile.files import run_path
from deepseek.inspector.runfile.reader import RunReader
from deepseek.inspector.runfile.rows import Step
from deepseek.inspector.runfile.writer import RunWriter

__all__ = ["RunReader", "RunWriter", "Step", "run_path"]
