"""The instrumented runtime: what happened inside the model, as data."""

from deepseek.inspector.comparison import Comparison, Divergence, compare
from deepseek.inspector.record import Finding, Frame, Layout, Site, StepRecord
from deepseek.inspector.recording import LiveRecording, Overhead, Recording, Status
from deepseek.inspector.run import Run, Viewer, open_run
from deepseek.inspector.session import Session, inspect

__all__ = [
    "Comparison",
    "Divergence",
    "Finding",
    "Frame",
    "Layout",
    "LiveRecording",
    "Overhead",
    "Recording",
    "Run",
    "Session",
    "Site",
    "Status",
    "StepRecord",
    "Viewer",
    "compare",
    "inspect",
    "open_run",
]
