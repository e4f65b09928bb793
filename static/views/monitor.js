/**
 * The machine over time: charts of a range, the runs in it, disks, interfaces and processes.
 * Runs on: the page.
 */
import { useEffect, useMemo, useState } from "preact/hooks";
import { DiskBars } from "../components/disk-bars.js";
import { InterfaceList } from "../components/interface-list.js";
import { ProcessTable } from "../components/process-table.js";
import { RunLane } from "../components/run-lane.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { ChartCard, SmallChart } from "../components/time-chart.js";
import { useConnected } from "../lib/connect.js";
import { formatBytes } from "../lib/format.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import * as charts from "../lib/monitor-charts.js";
import { RANGES, rangeOf } from "../lib/monitor-ranges.js";
import { runsBetween } from "../lib/monitor-runs.js";
import { MonitorStore } from "../lib/monitor-store.js";
import { navigate, url } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";
import { loadCharts } from "../lib/time-chart.js";

/** @import uPlot from "uplot" */
/** @import { ChartContext } from "../components/time-chart.js" */
/** @import { Range } from "../lib/monitor-ranges.js" */
/** @import { Sample } from "../lib/monitor-trail.js" */

/** @param {{range: Range}} props */
function RangePicker({ range }) {
  return html`<nav class="segments" aria-label="Time shown">
    ${RANGES.map(
      ({ id, short, long }) => html`<a
        key=${id}
        href=${id === RANGES[0].id ? "/monitor" : `/monitor?range=${id}`}
        aria-current=${id === range.id ? "true" : undefined}
        title=${long}
        onClick=${(/** @type {MouseEvent} */ event) => choose(event, id)}
        >${short}</a
      >`,
    )}
  </nav>`;
}

/** The way back leads to the page before, not through every range that was looked at.
 * @param {MouseEvent} event @param {string} id */
function choose(event, id) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  navigate(id === RANGES[0].id ? "/monitor" : `/monitor?range=${id}`, { replace: true });
}

/** @param {{context: ChartContext}} props */
function CpuCharts({ context }) {
  const [apart, setApart] = useState(false);
  const { trail } = context;
  const total = useMemo(() => charts.cpuChart(trail), [trail]);
  const cores = useMemo(
    () => Array.from({ length: trail.cores }, (_, core) => charts.coreChart(core)),
    [trail.cores],
  );
  const tools = html`<div class="segments small" role="group" aria-label="Cores">
    <button type="button" aria-pressed=${!apart} onClick=${() => setApart(false)}>All</button>
    <button type="button" aria-pressed=${apart} onClick=${() => setApart(true)}>Each core</button>
  </div>`;
  if (!apart) {
    return html`<${ChartCard} context=${context} spec=${total} title="CPU" tools=${tools} />`;
  }
  // So many scroll in their card, which the keyboard has to reach.
  const isMany = cores.length > 4;
  return html`<section class="card chart-card" aria-label="CPU">
    <header class="chart-head"><h2>CPU</h2>${tools}</header>
    <ul
      class="small-charts"
      aria-label="Each core"
      data-count=${isMany ? "many" : cores.length}
      tabindex=${isMany ? 0 : undefined}
    >
      ${cores.map((spec) => html`<${SmallChart} key=${spec.label} context=${context} spec=${spec} />`)}
    </ul>
  </section>`;
}

/** @param {Sample} now */
function loadNote({ load_average: [, five, fifteen], cpu_cores: cores }) {
  const full = cores.length === 1 ? "1 core" : `${cores.length} cores`;
  return `5 min ${five.toFixed(2)} · 15 min ${fifteen.toFixed(2)} · ${full}`;
}

/** @param {{context: ChartContext, now: Sample}} props */
function Charts({ context, now }) {
  const { trail } = context;
  const { memory_total: memoryTotal, swap_total: swapTotal } = now;
  const cores = now.cpu_cores.length;
  const specs = useMemo(
    () => ({
      memory: charts.memoryChart(memoryTotal, swapTotal > 0),
      load: charts.loadChart(cores),
      network: charts.networkChart(),
      disk: charts.diskChart(),
    }),
    [memoryTotal, swapTotal, cores],
  );
  const space = useMemo(() => charts.spaceChart(trail), [trail, trail.mounts.join()]);
  const memoryNote = `of ${formatBytes(memoryTotal)}${swapTotal > 0 ? `, and ${formatBytes(swapTotal)} of swap` : ""}`;
  return html`<div class="chart-grid">
    <${CpuCharts} context=${context} />
    <${ChartCard} context=${context} spec=${specs.memory} title="Memory" note=${memoryNote} />
    <${ChartCard} context=${context} spec=${specs.load} title="Load" note=${loadNote(now)} />
    <${ChartCard} context=${context} spec=${specs.network} title="Network" />
    <${ChartCard} context=${context} spec=${specs.disk} title="Disk activity" />
    <${ChartCard} context=${context} spec=${space} title="Disk space" note="used" />
  </div>`;
}

/** The chart library, once it is there.
 * @returns {{library: typeof uPlot | null, failed: boolean, retry: () => void}} */
function useChartLibrary() {
  const [library, setLibrary] = useState(/** @type {typeof uPlot | null} */ (null));
  const [failed, setFailed] = useState(false);
  const load = () => {
    setFailed(false);
    loadCharts().then(
      (loaded) => setLibrary(() => loaded),
      () => setFailed(true),
    );
  };
  useEffect(load, []);
  return { library, failed, retry: load };
}

/** @param {{store: MonitorStore}} props */
function Body({ store }) {
  const { library, failed, retry } = useChartLibrary();
  const shown = store.shown.value;
  const now = store.latest.value;
  const tasks = store.tasks.value;
  const error = store.error.value;
  const trail = shown?.trail;
  const runs = useMemo(
    () => (trail ? runsBetween(tasks ?? [], trail.start, trail.end) : []),
    [tasks, shown],
  );
  if (failed)
    return html`<${Failure} message="The charts could not be loaded." onRetry=${retry} />`;
  if (!trail && error) {
    return html`<${Failure} message=${error} onRetry=${() => store.refresh()} />`;
  }
  if (!trail || !library || !now)
    return html`<${Loading} what="the history of this machine" rows=${6} />`;
  if (trail.isEmpty) {
    return html`<section class="card"><${Empty} icon="monitor" title="Nothing has been measured in this time">
      Toru measures every second while it runs. Come back in a moment.
    <//></section>`;
  }
  /** @type {ChartContext} */
  const context = { library, trail, version: trail.end, runs, cursor: store.cursor };
  return html`<${RunLane} tasks=${tasks ?? []} start=${trail.start} end=${trail.end} cursor=${store.cursor} />
    <${Charts} context=${context} now=${now} />
    <div class="chart-grid">
      <${DiskBars} disks=${now.disks} />
      <${InterfaceList} interfaces=${now.rates.interfaces} />
    </div>`;
}

export function MonitorView() {
  const range = rangeOf(url.value.searchParams.get("range"));
  const store = useConnected(() => new MonitorStore(socket, range), [range.id]);
  return html`<header class="page-head monitor-head">
      <h1 tabindex="-1">Monitor</h1>
      <${RangePicker} range=${range} />
    </header>
    <div class="monitor">
      <${Body} store=${store} key=${range.id} />
      ${isAdmin.value && html`<${ProcessTable} />`}
    </div>`;
}
