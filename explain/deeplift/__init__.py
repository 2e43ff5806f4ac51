"""DeepLIFT on the traced graph of a model: attributions against reference rows that account for the whole output."""

from deepseek.explain.deeplift.deeplift import deeplift
from deepseek.explain.deeplift.work import DeepLift

__all__ = ["DeepLift", "deeplift"]
