"""Two-way control: what may be asked of a running session, and how it is applied between steps."""

from deepseek.inspector.control.commands import (
    AskDetail,
    BreakOn,
    Command,
    Explain,
    Pause,
    Resume,
    SetClip,
    SetLearningRate,
    SetWeightDecay,
    StepOnce,
    Stop,
    WatchCloser,
    parse,
)

__all__ = [
    "AskDetail",
    "BreakOn",
    "Command",
    "Explain",
    "Pause",
    "Resume",
    "SetClip",
    "SetLearningRate",
    "SetWeightDecay",
    "StepOnce",
    "Stop",
    "WatchCloser",
    "parse",
]
