"""How faithful an attribution is: does the output change most where it says so, more than by chance?"""

from deepseek.explain.faithfulness.curves import FRACTIONS, POINTS
from deepseek.explain.faithfulness.faithfulness import faithfulness
from deepseek.explain.faithfulness.report import FaithfulnessReport, Score

__all__ = ["FRACTIONS", "POINTS", "FaithfulnessReport", "Score", "faithfulness"]
