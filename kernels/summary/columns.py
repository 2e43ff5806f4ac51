"""The columns of a tensor summary: names, order and meaning."""

COLUMNS: tuple[str, ...] = (
    "mean",
    "std",
    "l2",
    "rms",
    "min",
    "max",
    "absmax",
    "zero_frac",
    "positive_frac",
    "nonfinite_count",
    "subnormal16_frac",
    "overflow16_frac",
)
"""One float64 each, in this order.

``mean, std, l2, rms, min, max, absmax`` are taken over the finite elements only, so that one NaN does not hide the
rest (``std`` is the population standard deviation, ``rms = sqrt(mean of squares)``, ``l2 = sqrt(sum of squares)``);
without any finite element they are NaN, ``l2`` is 0. ``zero_frac``, ``positive_frac``, ``subnormal16_frac`` and
``overflow16_frac`` are shares of all elements (NaN for an empty tensor): equal to zero; finite and above zero; not zero
but smaller in magnitude than 2**-14, the smallest normal float16; finite but infinite when rounded to float16
(magnitude of at least 65520). ``nonfinite_count`` counts NaN and infinities. Where a summary makes no sense (complex,
meta, nested, quantised tensors) every column is NaN.
"""

ROW_BYTES = 8 * len(COLUMNS)
