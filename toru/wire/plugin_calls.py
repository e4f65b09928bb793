"""The calls of a plugin that the core has not answered, and how many it may make.

Runs on: any thread; pure. Moments are monotonic seconds.
"""

from __future__ import annotations

from collections import deque

from toru.wire.plugin_http import ProtocolFault

MAX_OPEN = 32
MAX_PER_S = 200
LONGEST_DEADLINE_S = 60.0

_REMEMBERED_IDS = 4096


class CallBook:
    """The open calls of one connection.

    Args:
        max_open: how many may wait for their answer.
        max_per_s: how many may begin within a second.
    """

    def __init__(self, max_open: int = MAX_OPEN, max_per_s: int = MAX_PER_S) -> None:
        self.max_open = max_open
        self.max_per_s = max_per_s
        self._deadlines: dict[int, float] = {}
        self._begun: deque[float] = deque()
        self._recent: deque[int] = deque(maxlen=_REMEMBERED_IDS)
        self._recent_ids: set[int] = set()

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, call_id: int) -> bool:
        return call_id in self._deadlines

    def begin(self, call_id: int, deadline_s: float, now: float) -> str | None:
        """Take a call; return why not, as a sentence, when there are too many.

        Raises:
            ProtocolFault: the id is not the plugin's to use, or used already. (Of ids, the last
                few thousand are remembered, so that a connection can last for ever.)
        """
        self._use(call_id)
        while self._begun and now - self._begun[0] >= 1.0:
            self._begun.popleft()
        if len(self._begun) >= self.max_per_s:
            return f"More than {self.max_per_s} calls within a second."
        if len(self._deadlines) >= self.max_open:
            return f"More than {self.max_open} calls are open."
        self._begun.append(now)
        self._deadlines[call_id] = now + min(deadline_s, LONGEST_DEADLINE_S)
        return None

    def end(self, call_id: int) -> bool:
        """Note that a call has its answer; return whether it was open."""
        return self._deadlines.pop(call_id, None) is not None

    def expired(self, now: float) -> list[int]:
        """End the calls whose deadline has passed, and return them."""
        late = [call_id for call_id, deadline in self._deadlines.items() if deadline <= now]
        for call_id in late:
            del self._deadlines[call_id]
        return late

    def _use(self, call_id: int) -> None:
        if call_id == 0 or call_id % 2:
            raise ProtocolFault(f"A call has the id {call_id}; a plugin's ids are even.")
        if call_id in self._recent_ids or call_id in self._deadlines:
            raise ProtocolFault(f"The id {call_id} was used twice.")
        if len(self._recent) == _REMEMBERED_IDS:
            self._recent_ids.discard(self._recent[0])
        self._recent.append(call_id)
        self._recent_ids.add(call_id)
