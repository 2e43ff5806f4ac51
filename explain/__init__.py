"""Attributions and attention maps of trained models, and how far to trust them."""
