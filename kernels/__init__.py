"""Compute: tensor summaries, and layers that compute what their input asks for."""

from deepseek.kernels.sparse import (
    EXECUTORS,
    Executor,
    GateDecision,
    GateFit,
    SparseConv2d,
    SparseFeedForward,
    SparseGate,
    active_frac,
    calibrate_gates,
    dsa_resnet18,
    dsa_resnet50,
    fit_gates,
    forced_share,
    gate_decisions,
    gates_of,
    sparsify,
)
from deepseek.kernels.summary import COLUMNS, Summary, summarize

__all__ = [
    "COLUMNS",
    "EXECUTORS",
    "Executor",
    "GateDecision",
    "GateFit",
    "SparseConv2d",
    "SparseFeedForward",
    "SparseGate",
    "Summary",
    "active_frac",
    "calibrate_gates",
    "dsa_resnet18",
    "dsa_resnet50",
    "fit_gates",
    "forced_share",
    "gate_decisions",
    "gates_of",
    "sparsify",
    "summarize",
]
