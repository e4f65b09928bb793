/**
 * Moments and running clocks.
 * Runs on: the page.
 */
import { useEffect, useState } from "preact/hooks";
import {
  formatAgo,
  formatClock,
  formatDuration,
  formatFullTime,
  formatTime,
} from "../lib/format.js";
import { html } from "../lib/html.js";
import { isActive } from "../lib/task-list.js";

/** @import { Task } from "../lib/types.js" */

/**
 * The present, told again at every interval.
 * @param {number} intervalMs
 * @returns {number} milliseconds
 */
export function useNow(intervalMs) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return now;
}

/** @param {{at: string | null | undefined}} props */
export function Moment({ at }) {
  return html`<time datetime=${at ?? ""} title=${formatFullTime(at)}>${formatTime(at)}</time>`;
}

/** @param {{at: string | null | undefined}} props */
export function Ago({ at }) {
  const now = useNow(30_000);
  return html`<time datetime=${at ?? ""} title=${formatFullTime(at)}>${formatAgo(at, now)}</time>`;
}

/** @param {{since: string}} props */
function Elapsed({ since }) {
  const now = useNow(1_000);
  return html`<span class="numeric">${formatClock((now - Date.parse(since)) / 1000)}</span>`;
}

/**
 * How long a run has taken so far, or took.
 * @param {{task: Task}} props
 */
export function Duration({ task }) {
  if (isActive(task)) {
    return task.started_at ? html`<${Elapsed} since=${task.started_at} />` : html`<span>–</span>`;
  }
  return html`<span class="numeric">${formatDuration(durationOf(task))}</span>`;
}

/**
 * @param {Task} task
 * @returns {number | null} seconds
 */
function durationOf(task) {
  if (task.duration_s != null) return task.duration_s;
  if (!task.started_at || !task.finished_at) return null;
  return (Date.parse(task.finished_at) - Date.parse(task.started_at)) / 1000;
}
