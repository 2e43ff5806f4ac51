"""Attributions and attention maps of trained models, and how far to trust them."""

from deepseek.explain.attention.attend import attention
from deepseek.explain.attention.maps import AttentionMap, AttentionMaps
from deepseek.explain.attention.scores import TokenScores

__all__ = ["AttentionMap", "AttentionMaps", "TokenScores", "attention"]
