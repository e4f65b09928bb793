"""The parts of plugins' pages that decide: limits, lost events, what a sandbox may ask for."""

from __future__ import annotations

from typing import Any


def test_colours_are_told_as_they_are_in_a_scheme(module: Any) -> None:
    code = """({inScheme}) => ['light', 'dark'].map((scheme) => [
      'light-dark(#fff, #000)', '0 1px light-dark(rgb(24 32 44 / 6%), rgb(0, 0, 0)) solid',
      'light-dark(a, b) light-dark(c, d)', '1rem', 'light-dark(broken',
    ].map((value) => inScheme(value, scheme)))"""
    assert module("plugin-theme.js", code) == [
        ["#fff", "0 1px rgb(24 32 44 / 6%) solid", "a c", "1rem", "light-dark(broken"],
        ["#000", "0 1px rgb(0, 0, 0) solid", "b d", "1rem", "light-dark(broken"],
    ]


def test_a_meter_allows_a_burst_and_then_its_rate(module: Any) -> None:
    code = """({Meter}) => {
      let now = 0;
      const meter = new Meter(2, 3, () => now);
      const taken = () => [1, 2, 3, 4, 5].filter(() => meter.take()).length;
      const counts = [taken()];
      for (const later of [400, 1_000, 100_000]) { now = later; counts.push(taken()); }
      return counts;
    }"""
    assert module("sandbox-limits.js", code) == [3, 0, 2, 3]


def test_turns_are_taken_in_order_and_given_back_by_failures_too(module: Any) -> None:
    code = """async ({Turns}) => {
      const turns = new Turns(2), begun = [], ends = [];
      const work = (name) => turns.in(() => new Promise((resolve, reject) => {
        begun.push(name);
        ends.push(name === 'b' ? () => reject(new Error(name)) : () => resolve(name));
      })).catch((error) => error.message);
      const all = ['a', 'b', 'c', 'd'].map(work);
      const steps = [begun.join('')];
      for (const at of [1, 0, 2, 3]) {
        ends[at]();
        await new Promise((resolve) => setTimeout(resolve));
        steps.push(begun.join(''));
      }
      return [steps, await Promise.all(all)];
    }"""
    assert module("sandbox-limits.js", code) == [
        ["ab", "abc", "abcd", "abcd", "abcd"],
        ["a", "b", "c", "d"],
    ]


EVENTS = """({makeEvents}) => {
  const topics = [], seen = [], life = new AbortController();
  let take;
  const socket = {
    subscribe: (topic, listener) => {
      topics.push(topic);
      take = listener;
      return () => topics.push(`no ${topic}`);
    },
    whenOpen: () => () => {}, afterRoundTrip: () => {},
  };
  const events = makeEvents('door', socket, life.signal);
  const emit = (number, name = 'open') => take({name, number, data: number, timestamp: 't'});
  const off = events.on('open', (data, {missed}) => seen.push([data, missed]));
  const offAll = events.on('*', (data, {name}) => seen.push(name));
  emit(5); emit(6, 'shut'); emit(9); emit(2); emit(3);
  off(); off(); offAll();
  events.on('open', (data, {missed}) => seen.push(['again', missed]));
  emit(50);
  life.abort();
  events.on('open', () => seen.push('never'));
  emit(51);
  return {topics, seen};
}"""


def test_events_come_by_name_with_how_many_were_missed_until_the_page_is_left(module: Any) -> None:
    topic = "plugin-emitted/door"
    assert module("plugin-heard.js", EVENTS) == {
        "topics": [topic, f"no {topic}", topic, f"no {topic}"],
        "seen": [
            [5, 0],
            "open",
            "shut",
            [9, 2],
            "open",
            [2, 0],
            "open",
            [3, 0],
            "open",
            ["again", 0],
        ],
    }


HOST = """async ({SandboxHost}) => {
  const sent = [], ends = [], done = [];
  let emit = () => {};
  const api = {
    plugin: {name: 'Told'},
    kv: {get: async (key) => `value of ${key}`,
         list: async () => { throw Object.assign(new Error('no list'), {status: 400}); }},
    navigate: (to) => done.push(to),
    showToast: (text, kind) => done.push([text, kind]),
    fetch: async (path, options) => new Response(new Uint8Array(path === '/big' ? 33 << 20 : 2),
      {status: 206, headers: {'X-Is': JSON.stringify(options)}}),
    events: {on: (name, handler) => { emit = handler; return () => done.push('off'); }},
  };
  const host = new SandboxHost(api, (message) => sent.push(message), (why) => ends.push(why));
  let id = 0;
  const call = (method, ...args) => host.take({type: 'call', id: ++id, method, args});
  const answered = async (count) => {
    while (sent.length < count) await new Promise((resolve) => setTimeout(resolve));
  };
  const others = [null, 1, 'call', {}, {type: 'call', id: 'x'}, {type: 'ack'}, {type: 'height'}]
    .map((message) => host.take(message));
  call('kv.get', 7); call('kv.list', null); call('constructor'); call('kv.get.x');
  call('toast', 'x'.repeat(500), 'loud'); call('navigate', '/a');
  const headers = [['a', 1]];
  call('fetch', '/ok', {method: 'POST', credentials: 'omit', redirect: 'follow', headers});
  call('fetch', '/big'); call('fetch', '/ok', {body: 'text'});
  await answered(9);
  const answers = sent.splice(0).sort((a, b) => a.id - b.id)
    .map(({type, value, name, message, status}) => type === 'result'
      ? (value?.body ? [value.status, value.body.byteLength, value.headers[0][1]] : value ?? null)
      : [name, message, status ?? 0]);
  for (let n = 0; n < 30; n += 1) call('navigate', `/${n}`);
  await answered(30);
  const moves = done.filter((each) => typeof each === 'string').length;
  sent.length = 0;
  call('events.listen', true);
  await answered(1);
  sent.length = 0;
  for (let n = 0; n < 600; n += 1) emit(n, {name: 'e', timestamp: 't', missed: 0});
  const pushed = sent.length;
  host.take({type: 'ack'});
  emit(600, {name: 'e', timestamp: 't', missed: 1});
  const missed = sent.at(-1).event.missed;
  while (ends.length === 0) host.take({type: 'nonsense'});
  host.close();
  return {others, answers, moves, toast: done[0], pushed, missed, ends, off: done.at(-1)};
}"""


def test_a_host_does_what_it_knows_within_limits(module: Any) -> None:
    result = module("sandbox-host.js", HOST)
    options = '{"method":"POST","headers":[["a","1"]],"redirect":"manual","signal":{}}'
    assert result == {
        "others": [False] * 7,
        "answers": [
            "value of 7",
            ["Error", "no list", 400],
            ["TypeError", "There is no constructor.", 0],
            ["TypeError", "There is no kv.get.x.", 0],
            None,
            None,
            [206, 2, options],
            ["TypeError", "A body in a sandbox has at most 32 MiB.", 0],
            ["TypeError", "That is no body.", 0],
        ],
        "moves": 10,
        "toast": [f"Told: {'x' * 300}", "info"],
        "pushed": 512,
        "missed": 89,
        "ends": ["The page sent more messages than a page may, and was ended."],
        "off": "off",
    }
