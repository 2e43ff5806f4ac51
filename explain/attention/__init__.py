"""Attention maps of any model: where each token looks."""
