"""What a region gives away: the accuracy of a linear rule that sees nothing else.

Sources: Poliak et al., "Hypothesis only baselines in natural language inference", *SEM 2018 (partial-input baselines);
Hermann et al., "On the foundations of shortcut learning", ICLR 2024 (a shortcut is easier to learn than the task).
"""

import numpy as np

from deepseek.explain.call import Call
from deepseek.explain.shortcuts.estimates import Estimate, Labels, Numbers, mean
from deepseek.explain.shortcuts.regions import Region

FOLDS = 5

RIDGE = 0.1
"""Penalty of the ridge regression, relative to the mean square of a row."""


def linear_alone(call: Call, region: Region, labels: Labels) -> Estimate:
    """Return the accuracy of ridge regression of the classes on the elements of a region, in cross-validation.

    Args:
        call: The inputs, in no order.
        region: The region.
        labels: The classes, ``[N]``.
    """
    parts = [call.tensors[name].detach().cpu()[:, mask].double().numpy() for name, mask in region.items()]
    features, classes = np.concatenate(parts, axis=1), np.eye(labels.max() + 1)[labels]
    said = np.empty(len(labels), np.int64)
    for fold in range(FOLDS):
        held = np.arange(len(labels)) % FOLDS == fold
        said[held] = _predicted(features[~held], classes[~held], features[held]).argmax(1)
    return mean((said == labels).astype(float))


def _predicted(known: Numbers, classes: Numbers, unknown: Numbers) -> Numbers:
    """Ridge regression in its dual form, for there may be more features than rows."""
    middle, spread = known.mean(0), known.std(0)
    spread[spread == 0] = np.inf
    known, unknown = (known - middle) / spread, (unknown - middle) / spread
    products = known @ known.T
    penalty = RIDGE * max(np.trace(products) / len(known), 1e-12)
    weights = np.linalg.solve(products + penalty * np.eye(len(known)), classes - classes.mean(0))
    predicted: Numbers = unknown @ known.T @ weights + classes.mean(0)
    return predicted
