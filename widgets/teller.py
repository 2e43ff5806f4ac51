"""Tells a page what is new of a recording, as often as the page, the connection and the training can bear."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from deepseek.inspector.recording import Recording
from deepseek.widgets.feed import Feed
from deepseek.widgets.messages import Packet, prepare

MESSAGES_PER_SECOND = 10
BYTES_PER_SECOND = 250_000
"""What a Jupyter kernel may send to all its views together; a Jupyter server cuts off at four times as much."""

CPU_SHARE = 0.02
"""Of a processor, for each view: threads of Python take turns, so the thread that trains waits for this one."""

LOOK_S = 0.25
"""So often it is looked whether the session was paused, resumed or explained, which no step tells."""

_telling: "set[Teller]" = set()


def _sharers() -> int:
    """How many views are told news now."""
    return max(1, sum(not teller.absent for teller in list(_telling)))


def _never() -> bool:
    return False


class Teller:
    """Sends what is new in a feed until the recording ends, the page is gone or ``stop`` is called.

    A page for which more is new than may be sent gets it in fewer, larger messages. The charts follow the first
    figures, because loading Bokeh takes as long as the figures themselves.

    Args:
        recording: What the feed is of.
        send: Sends a packet to the page.
        program: Whether BokehJS comes with the charts; it does not count for the limits.
        absent: Whether nobody sees the page now: it is told nothing then but the end.
        gone: Whether nobody will ever see it again.
    """

    def __init__(
        self,
        recording: Recording,
        send: Callable[[Packet], None],
        *,
        program: bool = True,
        absent: Callable[[], bool] = _never,
        gone: Callable[[], bool] = _never,
    ) -> None:
        self._recording = recording
        self._send = send
        self._program = program
        self._is_absent = absent
        self._gone = gone
        self._state = recording.status.state
        self._news = Event()
        self._stopped = Event()
        self._sent: deque[tuple[float, int]] = deque()
        self._charts: Future[Packet] | None = None
        self._charts_told = False

    @property
    def alive(self) -> bool:
        """Whether more may come."""
        return not self._stopped.is_set()

    @property
    def absent(self) -> bool:
        """Whether nobody sees the page now."""
        return self._is_absent()

    def hurry(self) -> None:
        """Have a look at the feed soon."""
        self._news.set()

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()
        self._news.set()

    def tell(self, feed: Feed) -> None:
        """Tell until the end; to be called in a thread of its own."""
        prepare()
        feed.start(self.hurry)
        _telling.add(self)
        try:
            while not feed.ended and self._waited(feed):
                self._tell(feed)
        finally:
            _telling.discard(self)
            self._stopped.set()
            feed.close()

    def _waited(self, feed: Feed) -> bool:
        """Wait for something to tell; return False when there is nobody left to tell it to."""
        while not (self._news.wait(LOOK_S) or feed.waits) and self._recording.status.state in (self._state, "closed"):
            if self._gone():
                self.stop()
        self._news.clear()
        return self.alive

    def _tell(self, feed: Feed) -> None:
        begun = time.thread_time()
        feed.take()
        if self.absent and not feed.ended:
            return
        self._state = self._recording.status.state
        for packet in (feed.news(), *feed.extras()):
            self._make_room(packet.nbytes)
            self._send(packet)
            self._rest(time.thread_time() - begun)
            begun = time.thread_time()
        self._tell_charts(feed)

    def _tell_charts(self, feed: Feed) -> None:
        """Load the charts once there is something to draw in them; send them when they have been loaded."""
        if self._charts_told or feed.history.next_step == 0:
            return
        if self._charts is None:
            self._charts = ThreadPoolExecutor(1, "deepseek-loading").submit(self.charts)
            self._charts.add_done_callback(lambda _: self.hurry())
        if self._charts.done() or feed.ended:
            self._send(self._charts.result())
            self._charts_told, self._charts = True, None

    def charts(self) -> Packet:
        """Load Bokeh and return the charts."""
        from deepseek.widgets.charts_message import charts_packet

        return charts_packet(program=self._program)

    def _make_room(self, nbytes: int) -> None:
        """Wait until so many bytes may follow those of the last second; what is larger than that has it for itself."""
        most = BYTES_PER_SECOND / _sharers()
        while self.alive and self._sent and sum(size for _, size in self._sent) + nbytes > most:
            self._stopped.wait(max(0.0, self._sent[0][0] + 1 - time.monotonic()))
            self._sent.popleft()
        self._sent.append((time.monotonic() + max(0.0, nbytes / most - 1), nbytes))

    def _rest(self, cpu_s: float) -> None:
        self._stopped.wait(max(_sharers() / MESSAGES_PER_SECOND, cpu_s / CPU_SHARE))
