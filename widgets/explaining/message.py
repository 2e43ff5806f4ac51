"""An explanation of either kind as a message."""

from typing import Any

from deepseek.errors import DeepseekError
from deepseek.explain import AttentionMaps, Attribution
from deepseek.widgets.explaining.attention_message import attention_message
from deepseek.widgets.explaining.attribution_message import attribution_message
from deepseek.widgets.explaining.packing import LIMIT_BYTES, Packed

Explanation = Attribution | AttentionMaps


def explanation_message(explanation: Explanation, first: int = 0, limit_bytes: int = LIMIT_BYTES) -> Packed:
    """Return an attribution or attention maps as a message.

    Args:
        explanation: What is sent.
        first: What the first row is called.
        limit_bytes: Most numbers that are sent; of more, the first rows and outputs.

    Raises:
        DeepseekError: It is neither, or too large to be shown.
    """
    checked = checked_explanation(explanation)
    if isinstance(checked, Attribution):
        return attribution_message(checked, first, limit_bytes)
    return attention_message(checked, first, limit_bytes)


def checked_explanation(explanation: Any) -> Explanation:
    """Return an explanation if it is one that can be shown.

    Raises:
        DeepseekError: It is not.
    """
    if not isinstance(explanation, (Attribution, AttentionMaps)):
        raise DeepseekError(
            f"Expected an Attribution or AttentionMaps, got {type(explanation).__name__}: make one by "
            "deepseek.explain.shap, attribute or attention, or load one that was saved."
        )
    if isinstance(explanation, AttentionMaps) and not len(explanation):
        raise DeepseekError("There are no attention maps among these: select others.")
    return explanation


def title_of(explanation: Explanation) -> str:
    """Return what an explanation says, in a few words."""
    if isinstance(explanation, Attribution):
        return f"Attribution of {explanation.target} by {explanation.method}"
    return f"Where {explanation.model} looks"
