"""The parts of the dashboard that decide, driven directly in the browser's own JavaScript."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page


@pytest.fixture
def module(page: Page) -> Any:
    """Evaluate an arrow function on the exports of a module of the dashboard."""
    page.goto("/login")

    def call(path: str, code: str) -> Any:
        return page.evaluate(f"async () => ({code})(await import('/lib/{path}'))")

    return call


STREAM = """
({RunStream}) => {
  const listeners = {}, sent = [], seen = [];
  let pong, open;
  const socket = {
    on: (type, listener) => { listeners[type] = listener; return () => delete listeners[type]; },
    whenOpen: (callback) => { open = callback; callback(); return () => {}; },
    afterRoundTrip: (callback) => { pong = callback; },
    send: (message) => { sent.push(message); return true; },
  };
  const sink = {
    write: (text) => seen.push(text), gap: (bytes) => seen.push(bytes),
    ended: () => seen.push('end'), failed: () => {},
  };
  const stream = new RunStream(socket, 't', sink);
  const chunk = (data, offset, id = 't') =>
    listeners.stdout({type: 'stdout', task_id: id, data, offset});
  stream.connect();
  chunk('from an earlier viewer', 50);
  pong();
  chunk('abc', 3);
  chunk('of another run', 9, 'other');
  chunk('abc', 3);
  listeners.gap({type: 'gap', task_id: 't', from: 3, to: 10});
  open();
  chunk('on its way when the line was lost', 12);
  pong();
  chunk('xy', 12);
  listeners.exit({type: 'exit', task_id: 't', code: 0});
  stream.disconnect();
  return {seen, attached: sent.filter((m) => m.type === 'attach').map((m) => m.offset),
          left: Object.keys(listeners)};
}
"""


def test_a_stream_takes_each_byte_once_and_attaches_again_where_it_was(module: Any) -> None:
    result = module("run-stream.js", STREAM)
    assert result == {"seen": ["abc", 7, "xy", "end"], "attached": [0, 10], "left": []}


def test_a_report_that_was_overtaken_does_not_take_a_run_back(module: Any) -> None:
    code = """({mergeTask}) => [
      mergeTask({id: '1', state: 'running', started_at: 's'}, {id: '1', state: 'queued', args: {}}),
      mergeTask({id: '1', state: 'running'}, {id: '1', state: 'finished', exit_code: 0}),
    ]"""
    assert module("task-list.js", code) == [
        {"id": "1", "state": "running", "started_at": "s", "args": {}},
        {"id": "1", "state": "finished", "exit_code": 0},
    ]


def test_new_runs_go_where_their_time_puts_them(module: Any) -> None:
    code = """({withTask}) =>
      [{id: '2'}, {id: '9'}, {id: '5'}].reduce(withTask, [{id: '7'}]).map((task) => task.id)"""
    assert module("task-list.js", code) == ["9", "7", "5", "2"]


def test_tries_to_reconnect_come_slower_but_never_slower_than_every_15_s(module: Any) -> None:
    code = "({retryDelay}) => [0, 1, 2, 10].map((failures) => retryDelay(failures, 1))"
    assert module("socket.js", code) == [500, 1000, 2000, 15_000]


def test_a_flood_is_cut_to_what_the_terminal_can_keep(module: Any) -> None:
    code = """async ({TerminalWriter, SCROLLBACK_LINES}) => {
      let text = '', skipped = 0;
      const screen = {write: (part, done) => { text += part; setTimeout(done); }};
      await new Promise((resolve) => {
        const writer = new TerminalWriter(screen, {onSkip: () => skipped++, onIdle: resolve});
        const line = (number) => `${String(number).padStart(99, '0')}\\n`;
        for (let i = 0; i < 100; i++) {
          writer.push(Array.from({length: 1000}, (_, n) => line(i * 1000 + n)).join(''));
        }
      });
      const lines = text.split('\\n').slice(0, -1).map(Number);
      const inOrder = lines.every((number, i) => i === 0 || number === lines[i - 1] + 1);
      return {skipped: skipped > 0, inOrder, last: lines.at(-1),
              enough: lines.length >= SCROLLBACK_LINES};
    }"""
    assert module("terminal-writer.js", code) == {
        "skipped": True,
        "inOrder": True,
        "last": 99_999,
        "enough": True,
    }


def test_numbers_read_as_people_say_them(module: Any) -> None:
    expected = {
        "formatBytes(1536)": "1.5 KB",
        "formatBytes(null)": "\N{EN DASH}",
        "formatDuration(0)": "< 0.1 s",
        "formatDuration(252)": "4 min 12 s",
        "formatDuration(97200)": "1 d 3 h",
        "formatUptime(120)": "2 min",
        "formatClock(3849)": "1:04:09",
        "formatExit(-9)": "signal 9",
        "formatPercent(NaN)": "\N{EN DASH}",
        "stateWord('finished')": "Done",
    }
    calls = ", ".join(f"m.{call}" for call in expected)
    assert module("format.js", f"(m) => [{calls}]") == list(expected.values())
