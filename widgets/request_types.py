"""Everything that travels over the control comm: requests of the browser and the replies to them.

Generated from the schema by ``npm run generate``.
"""

# schema sha256: 6cbba3e9d46884da017558e31bd457130f1e35e61c3ab8e3d0e2ec0c10a43566

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Id = int
Key = str
Site = str
Text = str


class SessionsRequest(TypedDict):
    """Asks for the sessions of the Jupyter kernel; also tells that the page is still there."""

    type: Literal["sessions"]
    id: Id


class CommandRequest(TypedDict):
    """Asks a session to obey a command between two steps."""

    type: Literal["command"]
    id: Id
    session: Key
    command: Command


class FollowRequest(TypedDict):
    """Asks for the messages of a session, to be sent on the comm that `stream` names."""

    type: Literal["follow"]
    id: Id
    session: Key
    stream: Key
    bokeh: NotRequired[bool]


class UnfollowRequest(TypedDict):
    """Ends a stream."""

    type: Literal["unfollow"]
    id: Id
    stream: Key


class SeenRequest(TypedDict):
    """Tells whether the page sees a view: what no page sees is told nothing new."""

    type: Literal["seen"]
    id: Id
    view: Key
    sees: bool


class CancelExplaining(TypedDict):
    """Asks for an end of what is computed for a view."""

    type: Literal["cancel"]
    id: Id
    view: Key


class SessionsReply(TypedDict):
    """See `SessionsReply` in the schema."""

    type: Literal["sessions"]
    id: Id
    sessions: list[SessionInfo]


class Answer(TypedDict):
    """Null when the request was taken up, otherwise a sentence that says why not."""

    type: Literal["answer"]
    id: Id
    error: Text | None


class SessionInfo(TypedDict):
    """See `SessionInfo` in the schema."""

    key: Key
    title: Text
    state: Literal["running", "paused", "closed", "interrupted"]
    step: int
    path: Text


class Plain(TypedDict):
    """See `Plain` in the schema."""

    verb: Literal["pause", "resume", "step_once", "stop", "explain"]


class SetFactor(TypedDict):
    """See `SetFactor` in the schema."""

    verb: Literal["set_lr", "set_weight_decay"]
    factor: float


class SetValue(TypedDict):
    """See `SetValue` in the schema."""

    verb: Literal["set_lr", "set_weight_decay"]
    value: float


class SetClip(TypedDict):
    """See `SetClip` in the schema."""

    verb: Literal["set_clip"]
    max_norm: float | None


class BreakOn(TypedDict):
    """See `BreakOn` in the schema."""

    verb: Literal["break_on"]
    condition: str


class WatchCloser(TypedDict):
    """See `WatchCloser` in the schema."""

    verb: Literal["watch_closer"]
    site: Site | None


class AskDetail(TypedDict):
    """See `AskDetail` in the schema."""

    verb: Literal["ask_detail"]
    site: Site


Command = Plain | SetFactor | SetValue | SetClip | BreakOn | WatchCloser | AskDetail
ControlMessage = (
    SessionsRequest
    | CommandRequest
    | FollowRequest
    | UnfollowRequest
    | SeenRequest
    | CancelExplaining
    | SessionsReply
    | Answer
)
