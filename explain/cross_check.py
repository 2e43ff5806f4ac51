"""Whether two ways of approximating Shapley values by slopes agree."""

import numpy as np

from deepseek.explain.attribution import Attribution
from deepseek.explain.sanity.ranks import rank_correlations, table

LEAST_ALIKE = 0.6
"""Smallest mean rank correlation, over rows and outputs, with which they agree."""

MOST_OPPOSITE = 0.2
"""Largest share of the attributions' size that may have the opposite sign.

Of 45 small architectures with random weights, and a trained transformer, DeepLIFT and expected gradients are within
both limits for all but one, which divides by numbers near zero: the mean rank correlation is 0.70 or more, the opposite
share 0.12 or less. Input x gradient on the trained transformer has 0.1 and 0.3.
"""


def beside(found: Attribution, other: Attribution) -> str:
    """Say in a sentence whether two explanations of the same outputs agree."""
    one, two = table(found), table(other)
    correlation = float(rank_correlations(one, two).mean())
    sizes = np.abs(one) + np.abs(two)
    opposite = float((sizes * (one * two < 0)).sum() / max(sizes.sum(), 1e-300))
    measured = f"mean rank correlation {correlation:.2f}, opposite sign in {opposite:.0%} of the size"
    if correlation >= LEAST_ALIKE and opposite <= MOST_OPPOSITE:
        return f"Checked beside {other.method}, which agrees: {measured}."
    return (
        f"{other.method} disagrees: {measured}. Rely on neither before method='permutation', on `groups` where there "
        "are many features, has decided between them."
    )
