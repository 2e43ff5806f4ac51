"""What a page is told first: what does not change during a run."""

from deepseek.inspector.recording import Recording
from deepseek.widgets.feed import GROWING
from deepseek.widgets.message_types import Setup
from deepseek.widgets.messages import facts, name_text, validated
from deepseek.widgets.metrics import METRICS


def session_key(recording: Recording) -> str | None:
    """What the recording is called on the control comm; None where it takes no commands."""
    return getattr(recording, "key", None) if recording.status.state in GROWING else None


def setup_message(recording: Recording, session: str | None = None) -> Setup:
    """Title, facts and metrics of a run, and whom commands are for."""
    message: Setup = {
        "type": "setup",
        "title": name_text(recording.title),
        "meta": facts(recording.meta),
        "metrics": [
            {
                "name": metric.name,
                "title": metric.title,
                "scale": metric.scale,
                "worst": metric.worst,
                "description": metric.description,
            }
            for metric in METRICS
        ],
    }
    if session is not None:
        message["session"] = session
    validated(message)
    return message
