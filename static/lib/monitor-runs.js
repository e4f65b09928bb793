/**
 * Runs as bars on a time line: where each begins and ends, and in which row it fits.
 * Runs on: anywhere; pure.
 */

/** @import { Task } from "./types.js" */

/**
 * @typedef {object} Bar
 * @property {Task} task
 * @property {number} start seconds since the epoch
 * @property {number} end seconds since the epoch; that of the time line while it is running
 * @property {number} row counted from 0
 * @property {number} left share of the width, 0 to 1
 * @property {number} width share of the width
 */

/** How wide a bar is at least, as a share of the time line, so that the next does not cover it. */
const LEAST_WIDTH = 0.012;

/** @param {string | null | undefined} iso */
const seconds = (iso) => (iso ? Date.parse(iso) / 1000 : null);

/**
 * When a run began and ended; null for one that has not begun, or of which nobody knows the end.
 * @param {Task} task
 * @param {number} now seconds since the epoch
 * @returns {{start: number, end: number} | null}
 */
export function spanOf(task, now) {
  const start = seconds(task.started_at);
  if (start === null) return null;
  const isOver = task.state !== "running" && task.state !== "queued";
  const end = seconds(task.finished_at) ?? (isOver ? start : now);
  return { start, end: Math.max(start, end) };
}

/**
 * The runs that touch a time.
 * @param {Task[]} tasks
 * @param {number} start
 * @param {number} end
 * @returns {{task: Task, start: number, end: number}[]} the oldest first
 */
export function runsBetween(tasks, start, end) {
  const found = [];
  for (const task of tasks) {
    const span = spanOf(task, end);
    if (span && span.start < end && span.end > start) found.push({ task, ...span });
  }
  return found.sort((a, b) => a.start - b.start);
}

/**
 * Lays bars into as few rows as hold them side by side; what fits into none goes to the last.
 * @param {Task[]} tasks
 * @param {number} start
 * @param {number} end
 * @param {number} mostRows
 * @returns {Bar[]}
 */
export function barsOf(tasks, start, end, mostRows) {
  const length = end - start;
  /** @type {number[]} */
  const rowEnds = [];
  return runsBetween(tasks, start, end).map((run) => {
    const left = Math.max(0, (run.start - start) / length);
    const width = Math.min(1, (run.end - start) / length) - left;
    let row = rowEnds.findIndex((rowEnd) => rowEnd <= left);
    if (row < 0) row = Math.min(rowEnds.length, mostRows - 1);
    rowEnds[row] = Math.max(rowEnds[row] ?? 0, left + Math.max(width, LEAST_WIDTH));
    return { ...run, row, left, width };
  });
}

/**
 * The runs that were under way at a moment, or nearly.
 * @param {{task: Task, start: number, end: number}[]} runs
 * @param {number} moment
 * @param {number} tolerance seconds
 */
export function runsAt(runs, moment, tolerance) {
  return runs.filter((run) => run.start - tolerance <= moment && moment <= run.end + tolerance);
}
