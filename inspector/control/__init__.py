"""Two-way control: what may be asked of a running session, and how it is applied between steps."""

from deepseek.inspector.control.commands import (
    BreakOn,
    Command,
    Pause,
    Resume,
    SetClip,
    SetLearningRate,
    SetWeightDecay,
    StepOnce,
    Stop,
    parse,
)

__all__ = [
    "BreakOn",
    "Command",
    "Pause",
    "Resume",
    "SetClip",
    "SetLearningRate",
    "SetWeightDecay",
    "StepOnce",
    "Stop",
    "parse",
]
