"""The parts of the dashboard that decide, driven directly in the browser's own JavaScript."""

from __future__ import annotations

import json
from typing import Any

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


PLUGIN = """
  const plugin = (id, more = {}) => ({
    id, name: id, file: `${id}.binary`, state: 'ready', running: true, pid: null,
    figures: {cpu_percent: null, memory_bytes: null}, ...more,
  });
"""


def test_what_an_event_does_not_tell_of_a_plugin_stays_while_it_runs(module: Any) -> None:
    code = f"""({{withPlugin}}) => {{ {PLUGIN}
      const figures = {{cpu_percent: 3, memory_bytes: 9}};
      const known = [plugin('b', {{pid: 7, figures}}), plugin('z')];
      const on = withPlugin(known, plugin('b', {{state: 'unhealthy'}}))[0];
      const off = withPlugin(known, plugin('b', {{state: 'backoff', running: false}}))[0];
      return [on.state, on.pid, on.figures.memory_bytes, off.state, off.pid,
              withPlugin(known, plugin('a')).map((each) => each.id)];
    }}"""
    assert module("plugin-list.js", code) == [
        "unhealthy",
        7,
        9,
        "backoff",
        None,
        ["a", "b", "z"],
    ]


def test_of_two_files_that_claim_an_id_the_one_that_is_not_broken_has_it(module: Any) -> None:
    code = f"""({{withPlugin, findPlugin}}) => {{ {PLUGIN}
      const list = [plugin('a', {{file: 'copy.binary', state: 'broken'}}), plugin('a')];
      const next = withPlugin(list, plugin('a', {{file: 'renamed.binary'}}));
      return [findPlugin(list, 'a').file, next.map((each) => each.file).sort(),
              findPlugin(list, 'nobody') === undefined];
    }}"""
    expected = ["a.binary", ["copy.binary", "renamed.binary"], True]
    assert module("plugin-list.js", code) == expected


LOG = """
async ({PluginLog}) => {
  let take, open;
  const socket = {
    on: () => () => {},
    subscribe: (topic, listener) => { take = listener; return () => {}; },
    whenOpen: (callback) => { open = callback; return () => {}; },
    afterRoundTrip: (callback) => callback(),
  };
  const line = (message, level = 'info') =>
    ({timestamp: 't', level, plugin: 'p', message});
  const told = (each) => take({type: 'log', plugin: 'p', line: each});
  let answer;
  window.fetch = async () => { await 0; return new Response(JSON.stringify({logs: answer})); };
  const log = new PluginLog(socket, 'p', 'info', '');
  log.connect();
  answer = [line('two'), line('one')];
  const loading = log.refresh();
  told(line('two'));
  told(line('three'));
  await loading;
  told(line('quiet', 'debug'));
  take({type: 'log', plugin: 'other', line: line('stranger')});
  take({type: 'log_gap', plugin: 'p', lines: 12});
  told(line('two'));
  return log.entries.value.map((entry) => entry.line?.message ?? entry.missing);
}
"""


def test_a_line_of_a_log_that_is_both_loaded_and_told_is_shown_once(module: Any) -> None:
    assert module("plugin-log.js", LOG) == ["one", "two", "three", 12, "two"]


PAGES = """
async ({PagedQuery}) => {
  let tell;
  const socket = {
    status: {peek: () => 'open'},
    on: () => () => {},
    subscribe: (topic, listener) => { tell = listener; return () => {}; },
    whenOpen: () => () => {},
  };
  const asked = [], waiting = [];
  const add = (items, item) =>
    [...items.filter((each) => each.id !== item.id), item].sort((a, b) => b.id - a.id);
  const query = new PagedQuery(socket, {
    topic: 't', size: 2, add, apply: add,
    load: (before) => {
      asked.push(before);
      return new Promise((resolve) => { waiting.push((ids) => resolve(ids.map((id) => ({id})))); });
    },
  });
  const shown = () => [query.items.value?.map((item) => item.id), query.atEnd.value];
  const seen = [];
  query.connect();
  await query.more();
  const first = query.refresh();
  tell({id: 9});
  waiting.shift()([8, 7]);
  await first;
  seen.push(shown());
  const second = query.more(), twice = query.more();
  tell({id: 10});
  waiting.shift()([6]);
  await second; await twice;
  seen.push(shown());
  const late = query.more(), anew = query.refresh(), newer = query.refresh();
  const [older, overtaken, newest] = waiting;
  newest([10, 9]);
  overtaken([8]);
  await newer; await anew;
  older([]);
  await late;
  seen.push(shown());
  return {asked, seen};
}
"""


def test_pages_follow_the_oldest_item_and_never_leave_a_hole(module: Any) -> None:
    assert module("paged-query.js", PAGES) == {
        "asked": [None, 7, 6, None, None],
        "seen": [[[9, 8, 7], False], [[10, 9, 8, 7, 6], True], [[10, 9], False]],
    }


def test_a_pattern_may_take_all_that_is_below_it(module: Any) -> None:
    paths = ["/plugins/a", "/plugins/a/b/c/", "/plugins", "/plugins/", "/other/a"]
    code = f"({{match}}) => {json.dumps(paths)}.map((path) => match('/plugins/:id/*', path))"
    assert module("router.js", code) == [
        {"id": "a", "rest": "/"},
        {"id": "a", "rest": "/b/c"},
        None,
        None,
        None,
    ]


def test_events_of_a_plugin_read_as_sentences(module: Any) -> None:
    events = [
        ("crashed", '{"reason": "It was killed.", "exit_code": -9, "failures": 2}'),
        ("started", '{"pid": 7, "protocol": 2}'),
        ("disabled", '{"reason": "asked"}'),
        ("stopped", '{"exit_code": 0}'),
        ("enabled", None),
        ("installed", '{"version": "2.0", "previous_version": "1.0", "sha256": "ab"}'),
        ("install_failed", '{"version": "3.0", "sha256": "cd", "reason": "It is silent."}'),
        ("backed-up", '{"files": 3}'),
        ("odd", "no JSON"),
    ]
    code = f"""({{eventWord, eventDetails}}) => {json.dumps(events)}.map(([event_type, details]) =>
      `${{eventWord({{event_type}})}}: ${{eventDetails({{event_type, details}})}}`)"""
    assert module("plugin-events.js", code) == [
        "Failed: Failure 2 in a row. It was killed.",
        "Started: Process 7, protocol version 2.",
        "Disabled: An administrator asked for it.",
        "Stopped: Exit code 0.",
        "Enabled: ",
        "Installed: Version 2.0 in place of 1.0.",
        "Not installed: Version 3.0. It is silent.",
        'backed-up: {"files":3}',
        "odd: no JSON",
    ]


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


def test_a_terminal_that_is_still_at_work_when_it_is_closed_tells_nobody(module: Any) -> None:
    code = """async ({TerminalWriter}) => {
      let told = 0, written = () => {};
      const writing = new Promise((resolve) => { written = resolve; });
      const screen = {write: (_text, done) => written(done)};
      const writer = new TerminalWriter(screen, {onSkip: () => {}, onIdle: () => { told += 1; }});
      writer.push('hello');
      const done = await writing;
      writer.dispose();
      done();
      return told;
    }"""
    assert module("terminal-writer.js", code) == 0


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
