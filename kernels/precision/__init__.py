"""Adaptive mixed precision: exact counts of what half precision loses, policies, emulation, and packed activations."""

from deepseek.kernels.precision.activations import PackedActivations
from deepseek.kernels.precision.adaptive import AdaptivePrecision, plans_of
from deepseek.kernels.precision.evidence import Damage, Evidence, damage
from deepseek.kernels.precision.exponents import ExponentCounts, Lost, count_exponents
from deepseek.kernels.precision.plan import PLAN_COLUMNS, Decision, Plan
from deepseek.kernels.precision.policies import NOISE_LIMIT, POLICIES, UNDERFLOW_LIMIT, Policy, Situation
from deepseek.kernels.precision.rounding import rounded
from deepseek.kernels.precision.speed import half_speedup
from deepseek.kernels.precision.tolerance import Calls

__all__ = [
    "NOISE_LIMIT",
    "PLAN_COLUMNS",
    "POLICIES",
    "UNDERFLOW_LIMIT",
    "AdaptivePrecision",
    "Calls",
    "Damage",
    "Decision",
    "Evidence",
    "ExponentCounts",
    "Lost",
    "PackedActivations",
    "Plan",
    "Policy",
    "Situation",
    "count_exponents",
    "damage",
    "half_speedup",
    "plans_of",
    "rounded",
]
