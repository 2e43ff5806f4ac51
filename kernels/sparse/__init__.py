"""Layers that compute only the blocks that their input asks for."""

from deepseek.kernels.sparse.calibrate import calibrate_gates
from deepseek.kernels.sparse.cluster import cluster_gates
from deepseek.kernels.sparse.control import active_frac, forced_share, gate_decisions, gates_of
from deepseek.kernels.sparse.conv import SparseConv2d
from deepseek.kernels.sparse.executor import EXECUTORS, Executor
from deepseek.kernels.sparse.export import extract_width
from deepseek.kernels.sparse.feed_forward import SparseFeedForward
from deepseek.kernels.sparse.fit import GateFit, fit_gates
from deepseek.kernels.sparse.gate import GateDecision, SparseGate
from deepseek.kernels.sparse.inspecting import GateSummary, gate_summary
from deepseek.kernels.sparse.resnet import dsa_resnet18, dsa_resnet50
from deepseek.kernels.sparse.sparsify import sparsify

__all__ = [
    "EXECUTORS",
    "Executor",
    "GateDecision",
    "GateFit",
    "GateSummary",
    "SparseConv2d",
    "SparseFeedForward",
    "SparseGate",
    "active_frac",
    "calibrate_gates",
    "cluster_gates",
    "dsa_resnet18",
    "dsa_resnet50",
    "extract_width",
    "fit_gates",
    "forced_share",
    "gate_decisions",
    "gate_summary",
    "gates_of",
    "sparsify",
]
