"""The parts of the monitor that decide, driven directly in the browser's own JavaScript."""

from __future__ import annotations

from typing import Any

NOTHING = "\N{EN DASH}"
HISTORY = """
const history = (step, cpu, to) => ({
  from: '', to: new Date(to * 1000).toISOString(), step, resolution: step,
  memory_total: 100, swap_total: 0,
  times: cpu.map((_, i) => 1000 + i * step),
  series: {cpu: [...cpu], load: cpu.map(() => 1)}, peaks: {cpu: [...cpu]},
  cores: [[...cpu]], disks: [{mount_point: '/', used_percent: cpu.map(() => 50)}],
});
const sample = (at, cpu, cores = 1) => ({
  sampled_at: new Date(at * 1000).toISOString(), cpu_percent: cpu,
  cpu_cores: Array.from({length: cores}, (_, i) => ({name: `cpu${i}`, usage: cpu})),
  memory_used: 10, swap_used: 0, load_average: [2, 2, 2],
  disks: [{mount_point: '/', usage_percent: 51}],
  rates: {disk_read: 1, disk_write: 2, received: 3, transmitted: 4, interfaces: []},
});
"""


def test_a_trail_grows_by_the_second_and_keeps_gaps(module: Any) -> None:
    code = f"""({{Trail}}) => {{
      {HISTORY}
      const trail = new Trail(history(1, [10, 20, null, 40, null], 1005), 300);
      const before = [trail.times.length, trail.end];
      const taken = [
        trail.append(sample(1003.2, 99)),   // older than what is known
        trail.append(sample(1004.5, 50)),
        trail.append(sample(1005.5, 60)),
        trail.append(sample(1007.4, 70)),   // a second was skipped, but nothing was off
        trail.append(sample(1020.5, 80)),   // the hub was away
      ];
      return {{before, taken, times: trail.times, cpu: trail.column('cpu'),
        disk: trail.column('disk:/').at(-1), core: trail.column('core:0').at(-1),
        lengths: [...new Set([...trail.columns.values()].map((c) => c.length))]}};
    }}"""
    told = module("monitor-trail.js", code)
    assert told["before"] == [4, 1004]
    assert told["taken"] == [False, True, True, True, True]
    assert told["times"] == list(range(1000, 1021))
    assert told["cpu"] == [10, 20, None, 40, 50, 60, 70, 70, *[None] * 12, 80]
    assert (told["disk"], told["core"], told["lengths"]) == (51, 80, [21])


def test_a_step_of_some_seconds_is_the_average_of_them(module: Any) -> None:
    code = f"""({{Trail}}) => {{
      {HISTORY}
      const trail = new Trail(history(5, [10, 20], 1007), 3600);
      for (const [at, cpu] of [[1008, 60], [1009, 100], [1010, 0], [1011.5, 30]])
        trail.append(sample(at, cpu));
      return [trail.times, trail.column('cpu'), trail.column('peak:cpu')];
    }}"""
    assert module("monitor-trail.js", code) == [
        [1000, 1005, 1010],
        [10, (2 * 20 + 60 + 100) / 4, (1 * 0 + 1.5 * 30) / 2.5],
        [10, 100, 30],
    ]


def test_a_trail_forgets_what_is_older_than_its_range(module: Any) -> None:
    code = f"""({{Trail}}) => {{
      {HISTORY}
      const trail = new Trail(history(1, Array(300).fill(5), 1300), 300);
      for (let i = 0; i < 1000; i += 1) trail.append(sample(1300.5 + i, i % 100, 2));
      const slept = trail.times.length;
      trail.append(sample(99000, 42, 2));
      return [slept, trail.times.length, trail.column('cpu').filter((c) => c !== null).length,
        trail.cores, trail.isEmpty, trail.end - trail.start];
    }}"""
    slept, after, measured, cores, empty, length = module("monitor-trail.js", code)
    assert slept in range(300, 303)
    assert (after, measured, cores, empty, length) == (1, 1, 2, False, 300)


def test_runs_lie_side_by_side_or_below_each_other(module: Any) -> None:
    code = """({barsOf, runsAt, runsBetween}) => {
      const at = (s) => new Date(s * 1000).toISOString();
      const run = (id, start, end, state = 'finished') =>
        ({id, state, started_at: start && at(start), finished_at: end && at(end)});
      const tasks = [run('late', 1500, 1600), run('open', 1900, null, 'running'),
        run('before', 500, 900), run('over', 900, 1100), run('beside', 1400, 1900),
        run('waits', null, null, 'queued'), run('short', 1700, 1700),
        run('after', 2100, 2200), run('lost', 1200, null, 'interrupted')];
      const bars = barsOf(tasks, 1000, 2000, 3);
      const runs = runsBetween(tasks, 1000, 2000);
      return [bars.map((bar) => [bar.task.id, bar.row, bar.left, bar.width]),
        runsAt(runs, 1650, 0).map((r) => r.task.id), runsAt(runs, 1697, 5).map((r) => r.task.id)];
    }"""
    bars, at, near = module("monitor-runs.js", code)
    assert [[name, row] for name, row, _, _ in bars] == [
        ["over", 0], ["lost", 0], ["beside", 0], ["late", 1], ["short", 1], ["open", 0],
    ]  # fmt: skip
    assert bars[0][2:] == [0, 0.1]
    assert bars[-1][2] == 0.9
    assert at == ["beside"]
    assert near == ["beside", "short"]


def test_figures_are_told_as_people_read_them(module: Any) -> None:
    code = """({RATE, BYTES, PERCENT, COUNT}) => [
      RATE.format(1536), RATE.format(12), RATE.format(null), RATE.label(0), RATE.label(2 ** 20),
      BYTES.label(2 ** 31), PERCENT.format(12.4), PERCENT.label(75), COUNT.format(0.5),
      COUNT.label(0.25), COUNT.format(null),
    ]"""
    assert module("monitor-units.js", code) == [
        "1.5 KB/s", "12 B/s", NOTHING, "0", "1 MB/s",
        "2 GB", "12 %", "75 %", "0.50", "0.25", NOTHING,
    ]  # fmt: skip


def test_moments_are_told_as_finely_as_the_range_allows(module: Any) -> None:
    code = """({rangeOf, axisLabel, momentLabel}) => {
      const noon = new Date(2026, 10, 22, 12, 5, 9).getTime() / 1000;
      const midnight = new Date(2026, 10, 22).getTime() / 1000;
      return [rangeOf('7d').seconds, rangeOf('nonsense').id, rangeOf(null).id,
        axisLabel(noon, 15), axisLabel(noon, 600), axisLabel(midnight, 7200),
        axisLabel(midnight, 600), momentLabel(noon, 300), momentLabel(noon, 86400)];
    }"""
    told = module("monitor-ranges.js", code)
    assert told[:3] == [604_800, "5m", "5m"]
    assert told[3:5] == ["12:05:09", "12:05"]
    assert "22" in told[5]
    assert told[6].endswith(":00")
    assert told[7] == "12:05:09"
    assert told[8].endswith(", 12:05")
