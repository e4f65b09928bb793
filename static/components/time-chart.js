/**
 * A chart of time with its title, and its values at the cursor or of now.
 * Runs on: the page.
 */
import { useEffect, useMemo, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { navigate } from "../lib/router.js";
import { TimeChart } from "../lib/time-chart.js";

/** @import uPlot from "uplot" */
/** @import { ComponentChildren } from "preact" */
/** @import { Signal } from "@preact/signals" */
/** @import { ChartSpec, Line, ShownRun } from "../lib/time-chart.js" */
/** @import { Trail } from "../lib/monitor-trail.js" */

/**
 * @typedef {object} ChartContext what all charts of a page share
 * @property {typeof uPlot} library
 * @property {Trail} trail
 * @property {number} version grows with the trail
 * @property {ShownRun[]} runs
 * @property {Signal<number | null>} cursor
 */

/** @param {import("../lib/types.js").Task} task */
const openRun = (task) => navigate(`/history/${encodeURIComponent(task.id)}`);

/**
 * The value of a column at a moment, or the newest.
 * @param {Trail} trail @param {string} key @param {number | null} moment
 */
function valueAt(trail, key, moment) {
  const column = trail.column(key);
  if (moment === null) return column.at(-1) ?? null;
  const first = trail.times[0] ?? 0;
  const index = Math.round((moment - first) / trail.step);
  return column[index] ?? null;
}

/** @param {{context: ChartContext, spec: ChartSpec, host: {current: HTMLDivElement | null}}} props */
function Canvas({ context, spec, host }) {
  const { trail, runs, cursor } = context;
  const data = {
    times: trail.times,
    columns: spec.lines.map((line) => trail.column(line.key)),
    start: trail.start,
    end: trail.end,
    runs,
  };
  const names = spec.lines.map((line) => line.key).join();
  const chart = useMemo(
    () =>
      new TimeChart(context.library, spec, data, {
        onMoment: (moment) => {
          cursor.value = moment;
        },
        onRun: openRun,
      }),
    [names],
  );
  useEffect(() => {
    if (host.current) chart.connect(host.current);
    const stop = cursor.subscribe((moment) => chart.point(moment));
    return () => {
      stop();
      chart.disconnect();
    };
  }, [chart]);
  useEffect(() => {
    chart.update(data);
    chart.point(cursor.peek());
  }, [chart, context.version, runs]);
  return null;
}

/** @param {{context: ChartContext, spec: ChartSpec, line: Line, peaks: Set<string>}} props */
function LegendItem({ context, spec, line, peaks }) {
  const { trail, cursor } = context;
  const value = valueAt(trail, line.key, cursor.value);
  const peak = peaks.has(`peak:${line.key}`)
    ? valueAt(trail, `peak:${line.key}`, cursor.value)
    : null;
  return html`<span class="legend-item" data-colour=${line.colour}>
    <span class="muted">${line.label}</span>
    <strong class="numeric">${spec.unit.format(value)}</strong>
    ${peak !== null && html`<span class="muted numeric">up to ${spec.unit.format(peak)}</span>`}
  </span>`;
}

/** @param {{context: ChartContext, spec: ChartSpec}} props */
function Legend({ context, spec }) {
  const peaks = new Set(spec.lines.filter((line) => line.quiet).map((line) => line.key));
  const lines = spec.lines.filter((line) => !line.quiet);
  return html`<p class="legend">
    ${lines.map((line) => html`<${LegendItem} key=${line.key} context=${context} spec=${spec} line=${line} peaks=${peaks} />`)}
  </p>`;
}

/** What the chart shows in words, for whoever does not see it; told of the whole time, so that it
 * does not change each second.
 * @param {Trail} trail @param {ChartSpec} spec */
function inWords(trail, spec) {
  const parts = spec.lines
    .filter((line) => !line.quiet)
    .map(({ key, label }) => {
      const values = trail.column(key).filter((value) => value !== null);
      if (values.length === 0) return `${label}: nothing measured`;
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const most = values.reduce((high, value) => Math.max(high, value), 0);
      return `${label}: ${spec.unit.format(mean)} on average, ${spec.unit.format(most)} at most`;
    });
  return `${spec.label}. ${parts.join(". ")}.`;
}

/**
 * @param {{context: ChartContext, spec: ChartSpec, title: string, note?: string,
 *   tools?: ComponentChildren}} props
 */
export function ChartCard({ context, spec, title, note, tools }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const { trail } = context;
  const words = useMemo(() => inWords(trail, spec), [trail, spec]);
  return html`<section class="card chart-card" aria-label=${title}>
    <header class="chart-head">
      <h2>${title}</h2>
      ${note && html`<p class="chart-note muted">${note}</p>`}
      ${tools}
    </header>
    <${Legend} context=${context} spec=${spec} />
    <div class="chart" ref=${host} role="img" aria-label=${words} tabindex="0"></div>
    <${Canvas} context=${context} spec=${spec} host=${host} />
  </section>`;
}

/** A chart without axes, one of many: a name, a value, a line.
 * @param {{context: ChartContext, spec: ChartSpec}} props */
export function SmallChart({ context, spec }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const words = useMemo(() => inWords(context.trail, spec), [context.trail, spec]);
  return html`<li class="small-chart">
    <${Legend} context=${context} spec=${spec} />
    <div class="chart bare" ref=${host} role="img" aria-label=${words}></div>
    <${Canvas} context=${context} spec=${spec} host=${host} />
  </li>`;
}
