"""DeepSeek Workbench: see what flows through a PyTorch model while it trains, explain it, fix it.

The names below are loaded when they are first used, so that ``import deepseek`` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from deepseek.errors import DeepseekError, RunFileError, TrainingStopped

if TYPE_CHECKING:
    from deepseek import explain, inspector, kernels, widgets
    from deepseek.callbacks.accelerate import AccelerateTracker
    from deepseek.callbacks.lightning import LightningCallback
    from deepseek.callbacks.trainer import TrainerCallback
    from deepseek.compose import compare, inspect, open_run
    from deepseek.inspector import Comparison, Finding, Run, Session
    from deepseek.widgets.magic import load_ipython_extension, unload_ipython_extension

    __version__: str

__all__ = [
    "AccelerateTracker",
    "Comparison",
    "DeepseekError",
    "Finding",
    "LightningCallback",
    "Run",
    "RunFileError",
    "Session",
    "TrainerCallback",
    "TrainingStopped",
    "__version__",
    "compare",
    "explain",
    "inspect",
    "inspector",
    "kernels",
    "load_ipython_extension",
    "open_run",
    "unload_ipython_extension",
    "widgets",
]

_ROOMS = {"explain", "inspector", "kernels", "widgets"}

_HOME = {
    "AccelerateTracker": "deepseek.callbacks.accelerate",
    "Comparison": "deepseek.inspector",
    "Finding": "deepseek.inspector",
    "LightningCallback": "deepseek.callbacks.lightning",
    "Run": "deepseek.inspector",
    "Session": "deepseek.inspector",
    "TrainerCallback": "deepseek.callbacks.trainer",
    "compare": "deepseek.compose",
    "inspect": "deepseek.compose",
    "load_ipython_extension": "deepseek.widgets.magic",
    "open_run": "deepseek.compose",
    "unload_ipython_extension": "deepseek.widgets.magic",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"deepseek.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("deepseek-workbench")
    raise AttributeError(f"module 'deepseek' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
