"""A closer look at one layer in one step: histograms, units, the weights as a picture, time and memory."""

from deepseek.inspector.detail.data import BINS, EXPONENTS, FORMATS, Detail, Format, Histogram, Picture, UnitActivity

__all__ = ["BINS", "EXPONENTS", "FORMATS", "Detail", "Format", "Histogram", "Picture", "UnitActivity"]
