/**
 * Pure changes to runs and lists of runs, newest first.
 * Runs on: anywhere.
 */

/** @import { Task } from "./types.js" */

/**
 * Whether a run has not ended yet.
 * @param {Task | null} task
 * @returns {boolean}
 */
export function isActive(task) {
  return task?.state === "queued" || task?.state === "running";
}

/** @param {Task} task */
function progress(task) {
  if (task.state === "queued") return 0;
  return task.state === "running" ? 1 : 2;
}

/**
 * Joins two reports of one run. Answers and events may overtake each other, but a run never goes
 * back: of fields that both have, those of the report that is further on count.
 * @param {Task} known
 * @param {Task} told the one that came later, which counts between equals
 * @returns {Task}
 */
export function mergeTask(known, told) {
  return progress(told) < progress(known) ? { ...told, ...known } : { ...known, ...told };
}

/**
 * Works a run into the list: a known one changes in place, a new one is put where it belongs.
 * Task ids sort by time of creation.
 * @param {Task[]} tasks
 * @param {Task} told
 * @returns {Task[]}
 */
export function withTask(tasks, told) {
  const known = tasks.findIndex((task) => task.id === told.id);
  if (known >= 0) return tasks.with(known, mergeTask(tasks[known], told));
  const at = tasks.findIndex((task) => task.id < told.id);
  return at < 0 ? [...tasks, told] : tasks.toSpliced(at, 0, told);
}

/**
 * @param {Task[]} tasks
 * @param {string} id
 * @returns {Task[]}
 */
export function withoutTask(tasks, id) {
  return tasks.filter((task) => task.id !== id);
}
