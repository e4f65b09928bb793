/**
 * A line of the last values in percent, drawn without axes.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";

const WIDTH = 120;
const HEIGHT = 32;
const CAPACITY = 60;

/**
 * @param {number[]} values 0 to 100, oldest first
 * @param {number} capacity how many values the whole width stands for
 * @returns {string} SVG points, the newest at the right edge
 */
export function points(values, capacity) {
  const step = WIDTH / (capacity - 1);
  const left = WIDTH - (values.length - 1) * step;
  const y = (/** @type {number} */ value) =>
    HEIGHT - 1 - (Math.min(100, Math.max(0, value)) / 100) * (HEIGHT - 2);
  return values
    .map((value, i) => `${(left + i * step).toFixed(1)},${y(value).toFixed(1)}`)
    .join(" ");
}

/** @param {{values: number[]}} props */
export function Sparkline({ values }) {
  const line = points(values, CAPACITY);
  const left = line.split(",")[0];
  return html`<svg
    class="sparkline"
    viewBox=${`0 0 ${WIDTH} ${HEIGHT}`}
    preserveAspectRatio="none"
    aria-hidden="true"
  >
    <line x1="0" x2=${WIDTH} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
    ${
      values.length > 1 &&
      html`<polygon points=${`${left},${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
      <polyline points=${line} />`
    }
  </svg>`;
}
