"""What is new of a session for hosts outside the notebook cell: the newest explanation of its weights belongs to it."""

from collections.abc import Callable
from contextlib import suppress

from deepseek.errors import DeepseekError
from deepseek.inspector import Session
from deepseek.widgets.feed import Feed, Stored
from deepseek.widgets.messages import Packet

LIMIT_BYTES = 1_000_000
"""Numbers of an explanation that are sent: a Jupyter server carries no more at once."""


class ExplainedFeed(Feed):
    """Makes messages of a session, among them its newest explanation.

    Args:
        session: The session.
        read: See ``Feed``.
    """

    def __init__(self, session: Session, read: Callable[[], Stored]) -> None:
        super().__init__(session, read)
        self._explanations = session.explanations
        self._told = 0

    @property
    def waits(self) -> bool:
        """Whether there is an explanation that has not been told."""
        return len(self._explanations) > self._told

    def extras(self) -> list[Packet]:
        """What is new beside the steps, the newest explanation included; one that is too large stays below its cell."""
        packets = super().extras()
        if self.waits:
            from deepseek.widgets.explaining.message import explanation_message

            self._told = len(self._explanations)
            with suppress(DeepseekError):
                packed = explanation_message(self._explanations[-1], limit_bytes=LIMIT_BYTES)
                packets.append(Packet(packed.message, packed.payload))
        return packets
