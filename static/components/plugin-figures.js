/**
 * The figures of one plugin.
 * Runs on: the page.
 */
import { formatBytes, formatLatency, formatPercent, formatUptime } from "../lib/format.js";
import { html } from "../lib/html.js";

/** @import { Plugin } from "../lib/types.js" */

/** @param {{name: string, value: string, title?: string, isBad?: boolean}} props */
function Figure({ name, value, title, isBad = false }) {
  return html`<div title=${title}>
    <dt>${name}</dt>
    <dd class="numeric" data-bad=${isBad}>${value}</dd>
  </div>`;
}

/**
 * @param {number | null} seconds
 * @returns {string}
 */
function uptime(seconds) {
  return seconds !== null && seconds < 60 ? `${Math.floor(seconds)} s` : formatUptime(seconds);
}

/** @param {{plugin: Plugin}} props */
export function PluginFigures({ plugin }) {
  const figures = plugin.figures;
  const { cpu_percent, memory_bytes, latency_p50_ms, latency_p99_ms, uptime_s } = figures;
  const latency =
    latency_p50_ms == null
      ? "–"
      : `${formatLatency(latency_p50_ms)} / ${formatLatency(latency_p99_ms)}`;
  const count = (/** @type {number} */ number) => number.toLocaleString();
  return html`<dl class="plugin-figures">
    <${Figure} name="Processor" value=${formatPercent(cpu_percent)} title="Share of one core" />
    <${Figure} name="Memory" value=${formatBytes(memory_bytes)} />
    <${Figure} name="Uptime" value=${uptime(uptime_s)} />
    <${Figure} name="Restarts" value=${count(figures.restarts)} isBad=${figures.restarts > 0} />
    <${Figure} name="Requests" value=${count(figures.requests)} />
    <${Figure} name="Errors" value=${count(figures.errors)} isBad=${figures.errors > 0} />
    <${Figure}
      name="Answers in, p50 / p99"
      value=${latency}
      title="Half of the last 1,000 answers were faster than the first figure, 99 of 100 faster than the second"
    />
  </dl>`;
}
