/**
 * How long a script takes from run to run, as heights of bars.
 * Runs on: anywhere.
 */
import { isActive } from "./task-list.js";

/** @import { Task } from "./types.js" */

export const RUNS_SHOWN = 50;
/** Every run is to be seen, however short. */
const LOWEST = 0.04;
/** One run that took a hundred times as long is not to flatten all others. */
const OUTLIER = 4;

/**
 * @param {Task} task
 * @param {number} now milliseconds
 * @returns {number | null} seconds; null when it never started
 */
export function secondsOf(task, now) {
  if (task.duration_s != null) return task.duration_s;
  if (!task.started_at) return null;
  const end = task.finished_at ? Date.parse(task.finished_at) : now;
  return isActive(task) || task.finished_at
    ? Math.max(0, (end - Date.parse(task.started_at)) / 1000)
    : null;
}

/**
 * @param {number[]} values
 * @returns {number | null}
 */
export function median(values) {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * @param {Task[]} tasks newest first
 * @param {number} now milliseconds
 * @returns {{bars: {task: Task, seconds: number | null, height: number, isCut: boolean}[],
 *   median: number | null, medianHeight: number}} oldest first; heights from 0 to 1
 */
export function trendOf(tasks, now) {
  const timed = tasks.toReversed().map((task) => ({ task, seconds: secondsOf(task, now) }));
  const ended = timed.filter(({ task, seconds }) => !isActive(task) && seconds !== null);
  const middle = median(ended.map(({ seconds }) => seconds ?? 0));
  const longest = Math.max(0.1, ...timed.map(({ seconds }) => seconds ?? 0));
  const top = middle ? Math.min(longest, middle * OUTLIER) : longest;
  const bars = timed.map(({ task, seconds }) => ({
    task,
    seconds,
    height: Math.max(LOWEST, Math.min(1, (seconds ?? 0) / top)),
    isCut: (seconds ?? 0) > top,
  }));
  return { bars, median: middle, medianHeight: middle === null ? 0 : Math.min(1, middle / top) };
}
