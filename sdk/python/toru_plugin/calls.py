"""Calls from the plugin to the core over version 2, and the limits that they keep.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Callable

from .errors import CallError
from .reports import write_line

DEADLINE_S = 5.0
BUSY_PAUSE_S = 0.1
MAX_BUSY_RETRIES = 10
MAX_OPEN_LOGS = 8
"""Of the calls that may be open, so many are kept for log lines."""
LOGS_PER_S = 50
LOG_BURST = 100

LAST_ID = 0xFFFFFFFE
"""After it the ids begin anew; at 200 calls a second that is after four months."""

Send = Callable[[dict[str, Any]], None]
Spawn = Callable[[Coroutine[Any, Any, None]], Any]


class Calls:
    """The calls of one connection.

    Args:
        send: sends a message; raises ValueError when it has no form on the wire.
        spawn: runs a coroutine beside the others, before the plugin ends.
        max_open: how many may be open at once.
    """

    def __init__(self, send: Send, spawn: Spawn, max_open: int) -> None:
        self._send = send
        self._spawn = spawn
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._gone: str | None = None
        self._open_logs = 0
        self._log_credit = float(LOG_BURST)
        self._log_credit_at = time.monotonic()
        self.limit(max_open)

    def limit(self, max_open: int) -> None:
        """Have at most so many calls open at once."""
        self._max_logs = min(MAX_OPEN_LOGS, max_open // 2)
        self._room = asyncio.Semaphore(max(1, max_open - self._max_logs))

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the core and return its value.

        Raises:
            CallError: it refused, or did not answer in time.
        """
        for _ in range(MAX_BUSY_RETRIES):
            try:
                async with self._room:
                    return await self._ask(method, params)
            except CallError as error:
                if error.code != "BUSY" or not error.retryable:
                    raise
            await asyncio.sleep(BUSY_PAUSE_S)  # the core counts calls a second, and did nothing
        async with self._room:
            return await self._ask(method, params)

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        if self._gone is not None:
            raise CallError("CANCELLED", self._gone)
        call_id = self._last_id = self._last_id + 2 if self._last_id < LAST_ID else 2
        waiting = asyncio.get_running_loop().create_future()
        message = {"type": "call", "id": call_id, "method": method, "params": params}
        try:
            self._send({**message, "deadline_ms": int(DEADLINE_S * 1000)})
        except (TypeError, ValueError, RecursionError) as error:
            raise CallError("TOO_LARGE", f"{method} cannot be sent: {error}") from None
        self._waiting[call_id] = waiting
        try:
            return await asyncio.wait_for(waiting, DEADLINE_S)
        except asyncio.TimeoutError:
            self._send({"type": "cancel", "id": call_id, "reason": "deadline"})
            raise CallError("DEADLINE", f"no answer to {method}", retryable=True) from None
        finally:
            self._waiting.pop(call_id, None)

    def answered(self, call_id: Any, value: Any) -> bool:
        """Pass a result on; return whether somebody waited for it."""
        waiting = self._waiting.get(call_id)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(value)
        return True

    def refused(self, call_id: Any, error: CallError) -> bool:
        """Pass an error on; return whether somebody waited for it."""
        waiting = self._waiting.get(call_id)
        if waiting is None or waiting.done():
            return False
        waiting.set_exception(error)
        return True

    def fail_all(self, sentence: str) -> None:
        """Fail what waits, and all that is asked from now on."""
        self._gone = sentence
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(CallError("CANCELLED", sentence))

    def log(self, level: str, message: str, fields: dict[str, Any]) -> bool:
        """Send a log line without waiting; return False when the core would take no more now."""
        if self._gone is not None or self._open_logs >= self._max_logs or not self._may_log():
            return False
        self._open_logs += 1
        self._spawn(self._log(level, message, fields))
        return True

    async def _log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        try:
            await self._ask("log", {"level": level, "message": message, "fields": fields})
        except CallError:
            write_line(level, message, fields)
        finally:
            self._open_logs -= 1

    def _may_log(self) -> bool:
        now = time.monotonic()
        earned = (now - self._log_credit_at) * LOGS_PER_S
        self._log_credit = min(LOG_BURST, self._log_credit + earned)
        self._log_credit_at = now
        if self._log_credit < 1:
            return False
        self._log_credit -= 1
        return True
