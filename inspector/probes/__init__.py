"""Probes: hooks that see tensors go by and leave them untouched."""

from deepseek.inspector.probes.attach import Attachment

__all__ = ["Attachment"]
