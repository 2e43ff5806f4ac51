"""Rules: pure functions from a window of recorded steps to findings."""

from deepseek.inspector.rules.judge import STANDARD, Judge, Rule
from deepseek.inspector.rules.window import Window

__all__ = ["STANDARD", "Judge", "Rule", "Window"]
