"""What outputs are shown with, driven directly in the browser's own JavaScript."""

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


LINES = """
({PLAIN, parseLine, textOf, styleAfter, applySgr}) => {
  const parse = (text, style = PLAIN) => parseLine([{text, isError: false}], style);
  const seen = (text) => textOf(parse(text));
  const red = parse('\\x1b[1;31mred\\x1b[0m plain');
  const mixed = parseLine(
    [{text: 'out ', isError: false}, {text: 'err', isError: true}], PLAIN);
  const long = parse('\\r' + 'x'.repeat(10) + '\\x1b[99999999C' + 'y');
  return {
    plain: parse('nothing').parts.length,
    red: red.parts.map((part) => [part.text, part.style.fg, part.style.bold]),
    carried: parse('still', applySgr(PLAIN, '4')).style.underline,
    extended: ['38;5;208', '48;2;1;2;3', '38:2::9:8:7', '1;38;5', '>4;1', ''].map((sgr) => {
      const {fg, bg, bold} = applySgr({...PLAIN, italic: true}, sgr);
      return [fg, bg, bold];
    }),
    bright: [applySgr(PLAIN, '92').fg, applySgr(PLAIN, '101').bg],
    streams: mixed.parts.map((part) => [part.text, part.isError]),
    bars: [
      seen('10%\\r20%\\r100% done'), seen('long text\\rshort'), seen('text\\r\\x1b[Knew'),
      seen('abc\\b\\bX'), seen('a\\tb\\rZ'), seen('ab\\x1b[5Gcd'), seen('abcdef\\x1b[3D\\x1b[1K'),
    ],
    wide: textOf(long).length <= 16384,
    signs: [seen('a\\x00b\\x07c\\x7fd\\x9be'), seen('\\x1b]0;title\\x07text'),
            seen('\\x1b[?25lhidden\\x1b[?25h'), seen('broken \\x1b')],
    moves: [parse('\\x1b[2J').moves, parse('\\x1b[3A').moves, parse('\\x1b[31m').moves,
            parse('\\x1b[?1049h').moves],
    after: [styleAfter('\\x1b[31mx\\x1b[0my\\x1b[4mz'), styleAfter('none')]
      .map((style) => [style.fg, style.underline]),
  };
}
"""


def test_a_line_looks_as_a_terminal_would_leave_it(module: Any) -> None:
    assert module("ansi.js", LINES) == {
        "plain": 1,
        "red": [["red", 1, True], [" plain", None, False]],
        "carried": True,
        "extended": [
            [208, None, False],
            [None, "#010203", False],
            ["#090807", None, False],
            [0, None, True],
            [None, None, False],
            [None, None, False],
        ],
        "bright": [10, 9],
        "streams": [["out ", False], ["err", True]],
        "bars": ["100% done", "shorttext", "new", "aXc", "Z       b", "ab  cd", "    ef"],
        "wide": True,
        "signs": ["a␀bc␡d�e", "text", "hidden", "broken ␛"],
        "moves": [True, True, False, True],
        "after": [[None, True], [None, False]],
    }


ROWS = """
({CELL_BYTES, LOOK_BACK_BYTES, rowEnd, rowStart}) => {
  const encode = (text) => new TextEncoder().encode(text);
  const run = (bytes, start = 0, end = bytes.length, size = bytes.length) =>
    ({start, end, bytes: bytes.subarray(start, end), opens: start === 0, closes: end >= size});
  const bordersOf = (bytes) => {
    const all = run(bytes), borders = [0];
    while (borders.at(-1) < bytes.length) borders.push(rowEnd(all, borders.at(-1)));
    return borders;
  };
  let seed = 7;
  const random = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; };
  const texts = {
    short: 'line\\n'.repeat(9000),
    empty: '\\n'.repeat(20000),
    endless: 'x'.repeat(70000),
    wide: '€😀ä'.repeat(8000),
    coloured: '\\x1b[38;5;208mab\\x1b[0m'.repeat(3000),
    mixed: Array.from({length: 60}, () =>
      ['a', 'é', '€', '\\x1b[31m'][random(4)].repeat(random(6000)) + '\\n').join(''),
    bars: '\\r 12 %'.repeat(9000) + '\\n',
  };
  const wrong = [], shapes = {};
  for (const [name, text] of Object.entries(texts)) {
    const bytes = encode(text);
    const borders = bordersOf(bytes);
    const longest = Math.max(...borders.slice(1).map((end, i) => end - borders[i]));
    shapes[name] = [borders.length - 1, longest <= 2 * CELL_BYTES];
    for (let i = 1; i < borders.length - 1; i += 1) {
      if ((bytes[borders[i]] & 0xc0) === 0x80) wrong.push([name, 'torn', borders[i]]);
    }
    for (let tries = 0; tries < 150; tries += 1) {
      const at = random(bytes.length);
      const expected = borders.findLast((border) => border <= at);
      const part = run(bytes, Math.max(0, at - LOOK_BACK_BYTES), Math.min(bytes.length, at + 9000),
                       bytes.length);
      if (rowStart(part, at) !== expected) wrong.push([name, at, rowStart(part, at), expected]);
    }
  }
  const unfinished = {start: 0, end: 3, bytes: encode('abc'), opens: true, closes: false};
  return {wrong: wrong.slice(0, 5), shapes, more: rowEnd(unfinished, 0),
          last: rowEnd({...unfinished, closes: true}, 0)};
}
"""


def test_rows_have_the_same_borders_wherever_one_comes_from(module: Any) -> None:
    found = module("output-rows.js", ROWS)
    assert found["wrong"] == []
    assert found["shapes"]["short"] == [9000, True]
    assert found["shapes"]["empty"] == [20_000, True]
    assert found["shapes"]["endless"] == [18, True]
    assert all(fits for _, fits in found["shapes"].values())
    assert (found["more"], found["last"]) == (None, 3)


STRETCH = """
async ({Stretch, parseAnswer}) => {
  const encode = (text) => new TextEncoder().encode(text);
  const answer = (head, text) => {
    const json = encode(JSON.stringify(head)), bytes = encode(text);
    const whole = new Uint8Array(4 + json.length + bytes.length);
    new DataView(whole.buffer).setUint32(0, json.length);
    whole.set(json, 4);
    whole.set(bytes, 4 + json.length);
    return parseAnswer(whole.buffer);
  };
  const head = (offset, next_offset, pieces, more = {}) =>
    ({offset, next_offset, size: 100, complete: false, pieces, ...more});
  const stretch = new Stretch(10);
  for (const {head: told, bytes} of [
    answer(head(10, 16, [[10, 1, 1000], [14, 2, 2000]]), 'ab\\ncde'),
    answer(head(16, 20, [[16, 2, 3000]]), 'f\\nxy'),
    answer(head(20, 90, [[20, 0, 0]]), ''),
    answer(head(90, 100, [[30, 0, 0], [92, 1, 9000]], {complete: true}), 'end of it'.slice(0, 8)),
  ]) stretch.add(told, bytes);
  const text = (run) => run.bytes && new TextDecoder().decode(run.bytes);
  const {rowsFrom, rowText} = await import('/lib/output-lines.js');
  const {PLAIN} = await import('/lib/ansi.js');
  const rows = rowsFrom(stretch, 10, {style: PLAIN, rows: 99, bytes: 999});
  return {
    runs: stretch.runs.map((run) => [run.start, run.end, text(run), run.opens, run.closes]),
    covers: [stretch.covers(10, 100), stretch.covers(10, 900), stretch.covers(9, 20)],
    marks: stretch.marksIn(13, 17).map((mark) => [mark.start, mark.stream]),
    rows: rows.map((row) => [row.start, row.end, row.time, row.isError, row.isOpen]),
    text: rows.map(rowText).join(''),
    complete: stretch.complete,
  };
}
"""


def test_answers_join_to_a_stretch_with_gaps_streams_and_times(module: Any) -> None:
    found = module("output-stretch.js", STRETCH)
    assert found["runs"] == [
        [10, 20, "ab\ncdef\nxy", False, True],
        [20, 92, None, True, True],
        [92, 100, "end of i", True, True],
    ]
    assert found["covers"] == [True, True, False]
    assert found["marks"] == [[10, 1], [14, 2], [16, 2]]
    assert found["rows"] == [
        [10, 13, 1000, False, False],
        [13, 18, 1000, True, False],
        [18, 20, 3000, True, True],
        [20, 92, 0, False, False],
        [92, 100, 9000, False, True],
    ]
    assert found["text"] == "ab\ncdef\nxy\n[72 bytes of output are missing here]\nend of i"
    assert found["complete"] is True


COLOURS = """
async ({contrast, coloursOf, parseRgb, readable}) => {
  const {PLAIN} = await import('/lib/ansi.js');
  const named = Array.from({length: 16}, (_, i) => [i * 15, 0, 0]);
  const theme = {foreground: [20, 20, 20], background: [250, 250, 250], named};
  const of = (style) => coloursOf({...PLAIN, ...style}, theme);
  const least = (style) => {
    const {colour, ground} = of(style);
    return contrast(parseRgb(colour), ground ? parseRgb(ground) : theme.background) >= 4.5;
  };
  return {
    plain: of({bold: true}), inverse: of({inverse: true}), red: of({fg: '#b00000'}),
    cube: of({bg: 21}).ground, grey: of({bg: 232}).ground,
    readable: ['#ffff00', '#ffffff', 226, 231, 8].map((fg) => least({fg})),
    onGround: [0, 51, 226, 255].map((bg) => least({fg: '#808080', bg})),
    range: [contrast([0, 0, 0], [255, 255, 255]), readable([1, 1, 1], [0, 0, 0])[0] > 100],
  };
}
"""


def test_colours_that_programs_choose_can_be_read_on_the_page(module: Any) -> None:
    assert module("colours.js", COLOURS) == {
        "plain": {"colour": None, "ground": None},
        "inverse": {"colour": "rgb(250 250 250)", "ground": "rgb(20 20 20)"},
        "red": {"colour": "rgb(176 0 0)", "ground": None},
        "cube": "rgb(0 0 255)",
        "grey": "rgb(8 8 8)",
        "readable": [True] * 5,
        "onGround": [True] * 4,
        "range": [21, True],
    }


FINDER = """
async ({OutputFinder}) => {
  const asked = [], data = 'one needle, Needle two, needle three';
  const places = [4, 12, 24];
  window.fetch = async (path) => {
    const query = new URL(path, location.href).searchParams;
    const back = query.get('direction') === 'backward';
    asked.push([back, query.get('from'), query.get('limit')]);
    const from = query.has('from') ? Number(query.get('from')) : (back ? data.length : 0);
    let found = query.get('q') === 'needle' ? places : [];
    found = found.filter((at) => (back ? at < from : at >= from));
    if (back) found.reverse();
    // Each call goes over ten bytes only, as one that runs out of time.
    const next = back ? from - 10 : from + 10;
    found = found.filter((at) => (back ? at >= next : at < next));
    found = found.slice(0, Number(query.get('limit')));
    const over = back ? next <= 0 : next >= data.length;
    const matches = found.map((offset) => ({offset, length: 6, before: '', text: 'x', after: ''}));
    return Response.json({matches, next_offset: over ? null : next, size: data.length});
  };
  const finder = new OutputFinder('t'), seen = [];
  const note = () => seen.push([finder.current.value?.offset ?? null, finder.state.value,
                                finder.wrapped.value, finder.ordinal.value]);
  await finder.start('needle', false, 10); note();
  await finder.next(0); note();
  await finder.next(0); note();
  finder.previous(0); await finder.previous(0); note();
  const count = [finder.count.value, finder.counted.value];
  await finder.start('nothing', true, 0); note();
  await finder.start('', false, 0); note();
  const slow = finder.start('nothing', false, 0);
  await finder.start('needle', false, 0); await slow; note();
  finder.clear(); note();
  return {seen, count};
}
"""


def test_a_search_goes_from_match_to_match_and_over_the_ends(module: Any) -> None:
    found = module("output-finder.js", FINDER)
    assert found["seen"] == [
        [12, "found", False, 2],
        [24, "found", False, 3],
        [4, "found", True, 1],
        [12, "found", False, 2],
        [None, "none", False, 0],
        [None, "", False, 0],
        [4, "found", False, 1],
        [None, "", False, 0],
    ]
    assert found["count"] == [3, True]


def test_a_text_is_found_in_a_row_whatever_its_case(module: Any) -> None:
    code = """({placesOf}) => [
      placesOf('abAB', 'ab', false), placesOf('abAB', 'ab', true), placesOf('aaaa', 'aa', false),
      placesOf('İstanbul ab', 'AB', false), placesOf('', 'a', false),
    ]"""
    assert module("output-marks.js", code) == [[0, 2], [0], [0, 2], [], []]


WINDOW = """
async ({LinesView}) => {
  const {OutputSource} = await import('/lib/output-source.js');
  const {CELL_BYTES} = await import('/lib/output-rows.js');
  const encode = (text) => new TextEncoder().encode(text);
  let seed = 777;
  const random = (n) => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; };
  const lines = [];
  for (let i = 0; i < 14000; i += 1) lines.push(`${i} ` + 'wörd '.repeat(random(30)));
  lines.splice(5000, 0, 'x'.repeat(90000));
  lines.splice(9000, 0, ...Array(3000).fill(''));
  const data = encode(lines.join('\\n') + '\\n');
  const gap = [400000, 700000];
  let size = 900000, ended = false, away = false;
  window.fetch = async (path) => {
    if (away) throw new TypeError('away');
    const query = new URL(path, location.href).searchParams;
    const offset = Math.min(Number(query.get('offset')), size);
    let end = Math.min(size, offset + Math.min(Number(query.get('limit')), 40000));
    const pieces = [], parts = [];
    for (let at = offset; at < end;) {
      if (at >= gap[0] && at < gap[1]) {
        pieces.push([gap[0], 0, 0]);
        at = gap[1];
        end = Math.max(end, gap[1]);
        continue;
      }
      const to = Math.min(end, at < gap[0] ? gap[0] : end, at + 7000);
      pieces.push([at, 1, 1000 + at]);
      parts.push(data.subarray(at, to));
      at = to;
    }
    const head = encode(JSON.stringify({offset, next_offset: end, size, pieces,
                                        complete: ended && end >= size}));
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, head.length);
    return new Response(new Blob([length, head, ...parts]));
  };
  const box = document.createElement('div'), list = document.createElement('div');
  box.className = 'output-box wrap';
  list.className = 'output-rows';
  box.style.cssText = 'position:relative;width:700px;height:500px;overflow-anchor:none';
  box.append(list);
  document.body.append(box);
  const theme = {foreground: [0, 0, 0], background: [255, 255, 255], named: []};
  const source = new OutputSource('t');
  const view = new LinesView(source, () => ({times: 'off', startedAt: 0, theme}));
  view.connect(box, list);
  const wrong = [];
  const settled = async () => {
    let before = -1;
    for (let same = 0; same < 4;) {
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 4)));
      same = before === view.changes.value && !view.busy.value ? same + 1 : 0;
      before = view.changes.value;
    }
  };
  const check = (what) => {
    const rows = view.rows;
    if (list.children.length !== rows.length) wrong.push([what, 'elements']);
    if (view.error.value) wrong.push([what, view.error.value]);
    rows.forEach(({row, element}, i) => {
      if (list.children[i] !== element) wrong.push([what, 'order', i]);
      if (i && rows[i - 1].row.end !== row.start) wrong.push([what, 'hole', row.start]);
      if (!row.bytes) {
        if (row.start !== gap[0] || row.end !== gap[1]) wrong.push([what, 'gap', row.start]);
        return;
      }
      const bytes = data.subarray(row.start, row.end);
      const text = new TextDecoder().decode(bytes).replace(/\\n$/, '');
      if (element.textContent !== text) wrong.push([what, 'text', row.start, row.end]);
      if (row.end - row.start > 2 * CELL_BYTES) wrong.push([what, 'long', row.start]);
    });
    const enough = box.scrollHeight >= 500 && rows.length < 2500;
    if (!enough) wrong.push([what, 'amount', rows.length]);
    if (view.top.value > view.bottom.value) wrong.push([what, 'place']);
  };
  await source.refresh();
  view.follow();
  await settled();
  check('end');
  const atEnd = () => view.rows.at(-1).row.end === size
    && box.scrollHeight - box.scrollTop - box.clientHeight < 2;
  if (!atEnd()) wrong.push(['not at the end']);
  for (let i = 0; i < 10; i += 1) {
    const offset = random(size);
    const place = random(2) * 0.35;
    view.seek(offset, place);
    await settled();
    check(`seek ${offset}`);
    if (!view.rows.some(({row}) => row.start <= offset && offset < row.end))
      wrong.push(['not there', offset]);
    if (offset > size - 20000) continue;
    const held = offset >= gap[0] && offset < gap[1] ? gap[0] : offset;
    if (place === 0 && !(view.top.value <= held && held < view.bottom.value))
      wrong.push(['not at the top', offset, view.top.value]);
    for (let turns = 0; turns < 8; turns += 1) {
      box.scrollTop += random(1400) - 700;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    await settled();
    check(`scroll ${offset}`);
  }
  view.follow();
  await settled();
  for (let i = 0; i < 6; i += 1) {
    size = Math.min(data.length, size + (i % 4 ? random(3000) : 90000));
    ended = i === 5;
    await source.refresh();
    await settled();
    check(`grow ${size}`);
    if (!atEnd()) wrong.push(['left behind', size, view.rows.at(-1)?.row.end]);
  }
  view.pause();
  view.seek(0);
  await settled();
  const top = [view.top.value, view.rows[0].row.start, box.scrollTop];
  size = data.length;
  await source.refresh();
  await settled();
  check('paused');
  const kept = view.top.value === 0 && !view.following.value;
  view.redraw(() => { box.style.width = '300px'; });
  await settled();
  check('redrawn');
  away = true;
  view.seek(300000);
  await settled();
  const told = view.error.value !== '' && view.rows.length > 0;
  away = false;
  view.retry();
  await settled();
  check('there again');
  const back = view.rows.some(({row}) => row.start <= 300000 && 300000 < row.end);
  view.disconnect();
  return {wrong: wrong.slice(0, 8), top, kept, told, back, complete: source.complete.value};
}
"""


def test_the_rows_of_a_window_are_those_of_the_output_wherever_it_goes(module: Any) -> None:
    found = module("lines-view.js", WINDOW)
    assert found["wrong"] == []
    assert found["top"] == [0, 0, 0]
    assert all(found[name] for name in ("kept", "told", "back", "complete"))


def test_tabs_make_room_for_each_other(module: Any) -> None:
    code = """({neighbour, withTab}) => [
      neighbour(['a', 'b', 'c'], 'b'), neighbour(['a', 'b'], 'b'), neighbour(['a'], 'a') ?? null,
      withTab(['a'], 'a', () => true), withTab(['a'], 'b', () => true),
      withTab(['a', 'b', 'c'], 'd', (id) => id !== 'b', 3),
      withTab(['a', 'b', 'c'], 'd', () => true, 3),
    ]"""
    assert module("run-tabs.js", code) == [
        "c", "a", None, ["a"], ["a", "b"], ["a", "c", "d"], ["b", "c", "d"],
    ]  # fmt: skip


def test_scripts_are_filtered_by_all_words_of_name_and_description(module: Any) -> None:
    code = """({withWords}) => ['', 'BACK photos', 'photos disk', 'x'].map((text) =>
      withWords([{name: 'backup.sh', description: 'Copies Photos'}, {name: 'disk.sh'}], text)
        .map((script) => script.name))"""
    assert module("script-store.js", code) == [["backup.sh", "disk.sh"], ["backup.sh"], [], []]
