"""Attributions and attention maps of trained models, and how far to trust them."""

from deepseek.explain.attention.attend import attention
from deepseek.explain.attention.maps import AttentionMaps
from deepseek.explain.attention.one_map import AttentionMap
from deepseek.explain.attention.scores import TokenScores
from deepseek.explain.attribute import attribute
from deepseek.explain.attribution import Attribution
from deepseek.explain.faithfulness import FaithfulnessReport, faithfulness
from deepseek.explain.features import Features
from deepseek.explain.pixels import grid, superpixels
from deepseek.explain.sanity.batch import BatchInvariance, batch_invariance
from deepseek.explain.sanity.compare import Comparison, compare
from deepseek.explain.sanity.randomisation import Randomisation, model_randomisation
from deepseek.explain.shap_values import shap
from deepseek.explain.shortcuts.audit import audit_shortcuts
from deepseek.explain.shortcuts.report import ShortcutReport
from deepseek.explain.tables import Table
from deepseek.explain.words import words

__all__ = [
    "AttentionMap",
    "AttentionMaps",
    "Attribution",
    "BatchInvariance",
    "Comparison",
    "FaithfulnessReport",
    "Features",
    "Randomisation",
    "ShortcutReport",
    "Table",
    "TokenScores",
    "attention",
    "attribute",
    "audit_shortcuts",
    "batch_invariance",
    "compare",
    "faithfulness",
    "grid",
    "model_randomisation",
    "shap",
    "superpixels",
    "words",
]
