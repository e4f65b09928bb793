/**
 * The runs of the time that is shown, as bars that lead to them.
 * Runs on: the page.
 */
import { useEffect, useRef } from "preact/hooks";
import { formatDuration, stateWord } from "../lib/format.js";
import { html } from "../lib/html.js";
import { axisLabel, momentLabel } from "../lib/monitor-ranges.js";
import { barsOf } from "../lib/monitor-runs.js";

/** @import { Signal } from "@preact/signals" */
/** @import { Bar } from "../lib/monitor-runs.js" */
/** @import { Task } from "../lib/types.js" */

const MOST_ROWS = 4;
/** From this share of the width on, a bar has room for its name. */
const NAMED_WIDTH = 0.07;
const LABELS = 5;

/** @param {{bar: Bar, range: number}} props */
function RunBar({ bar, range }) {
  const { task, left, width, row } = bar;
  const took = formatDuration(bar.end - bar.start);
  const words = `${task.script_name}, ${stateWord(task.state).toLowerCase()}, ${momentLabel(bar.start, range)}, ${took}`;
  return html`<a
    class="run-bar"
    href=${`/history/${encodeURIComponent(task.id)}`}
    data-state=${task.state}
    title=${words}
    aria-label=${words}
    style=${{ left: `min(${left * 100}%, calc(100% - 0.375rem))`, width: `${width * 100}%`, "--row": row }}
  >
    ${width >= NAMED_WIDTH && html`<span>${task.script_name}</span>`}
  </a>`;
}

/** @param {{start: number, end: number}} props */
function Scale({ start, end }) {
  const apart = (end - start) / (LABELS - 1);
  // Labels that lie no whole minutes apart would seem to be uneven.
  const step = apart < 120 ? 1 : apart;
  return html`<p class="lane-scale muted numeric" aria-hidden="true">
    ${Array.from({ length: LABELS }, (_, i) => html`<span key=${i}>${axisLabel(start + i * apart, step)}</span>`)}
  </p>`;
}

/** The line of the moment that the person looks at.
 * @param {{cursor: Signal<number | null>, start: number, end: number}} props */
function Needle({ cursor, start, end }) {
  const line = useRef(/** @type {HTMLDivElement | null} */ (null));
  const share = cursor.value === null ? -1 : (cursor.value - start) / (end - start);
  useEffect(() => {
    if (line.current) line.current.style.left = `${share * 100}%`;
  }, [share]);
  return html`<div class="lane-needle" ref=${line} hidden=${share < 0 || share > 1}></div>`;
}

/**
 * @param {{tasks: Task[], start: number, end: number, cursor: Signal<number | null>}} props
 */
export function RunLane({ tasks, start, end, cursor }) {
  const bars = barsOf(tasks, start, end, MOST_ROWS);
  const rows = bars.reduce((most, bar) => Math.max(most, bar.row + 1), 1);
  return html`<section class="card run-lane" aria-labelledby="lane" data-end=${end}>
    <header class="chart-head">
      <h2 id="lane">Runs</h2>
      <p class="chart-note muted">
        ${bars.length === 0 ? "None in this time" : `${bars.length} in this time`}
      </p>
    </header>
    <div class="lane" style=${{ "--rows": rows }}>
      ${bars.map((bar) => html`<${RunBar} key=${bar.task.id} bar=${bar} range=${end - start} />`)}
      <${Needle} cursor=${cursor} start=${start} end=${end} />
    </div>
    <${Scale} start=${start} end=${end} />
  </section>`;
}
