"""The rows of the matrix."""

from certify import basic, pretrained, unusual, wiring
from certify.case import Case

MODELS: dict[str, Case] = basic.CASES | wiring.CASES | unusual.CASES | pretrained.CASES
"""Every model by its name."""
