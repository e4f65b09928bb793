/**
 * How full a mailbox is and how busy an actor, now and at its peak of the last minute.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { Sparkline } from "./sparkline.js";

/** Below this a mailbox is drawn as if it were so long: a few messages are not many. */
const SHORTEST_SCALE = 100;
/** A curve of fewer messages is drawn flat. */
const SMALLEST_CURVE = 10;

/**
 * How far along the bar a number of messages is: ten times as many are one step further, so that
 * three can be seen beside twenty thousand.
 * @param {number} depth
 * @param {number} limit
 * @returns {number} percent
 */
export function fill(depth, limit) {
  return (Math.log1p(depth) / Math.log1p(Math.max(limit, SHORTEST_SCALE))) * 100;
}

/**
 * @param {{label: string, percent: number, peak: number, words: string}} props both 0 to 100
 */
function PeakBar({ label, percent, peak, words }) {
  return html`<div
    class="peak-bar"
    role="meter"
    aria-label=${label}
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${Math.round(percent)}
    aria-valuetext=${words}
    title=${words}
  >
    <div class="peak-now" style=${{ inlineSize: `${percent}%` }}></div>
    ${peak > 0 && html`<div class="peak-mark" style=${{ insetInlineStart: `${Math.min(peak, 99)}%` }}></div>`}
  </div>`;
}

/** @param {{name: string, depth: number, peak: number, limit: number, depths: number[]}} props */
export function MailboxBar({ name, depth, peak, limit, depths }) {
  const scale = Math.max(SMALLEST_CURVE, peak);
  const words = `${depth} waiting, at most ${peak} in the last minute, room for ${limit.toLocaleString("en")}`;
  return html`<div class="gauge">
    <span class="gauge-value numeric">${depth}</span>
    <span class="gauge-peak numeric">${peak > 0 ? `peak ${peak}` : ""}</span>
    <${PeakBar} label=${`Mailbox of ${name}`} percent=${fill(depth, limit)} peak=${fill(peak, limit)} words=${words} />
    <${Sparkline} values=${depths.map((each) => (each / scale) * 100)} />
  </div>`;
}

/** @param {{name: string, share: number, peak: number, shares: number[]}} props in percent */
export function BusyBar({ name, share, peak, shares }) {
  const words = `busy ${Math.round(share)} % of the time, at most ${Math.round(peak)} % in the last minute`;
  return html`<div class="gauge">
    <span class="gauge-value numeric">${Math.round(share)} %</span>
    <span class="gauge-peak numeric">${peak >= 1 ? `peak ${Math.round(peak)} %` : ""}</span>
    <${PeakBar} label=${`Work of ${name}`} percent=${Math.min(100, share)} peak=${Math.min(100, peak)} words=${words} />
    <${Sparkline} values=${shares} />
  </div>`;
}
