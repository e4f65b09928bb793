/**
 * Pure changes to a list of runs, newest first.
 * Runs on: anywhere.
 */

/** @import { Task } from "./types.js" */

/**
 * Works an event into the list: known runs change in place, new ones are put where they belong.
 * Task ids sort by time of creation.
 * @param {Task[]} tasks
 * @param {Task} event
 * @returns {Task[]}
 */
export function withTask(tasks, event) {
  const known = tasks.findIndex((task) => task.id === event.id);
  if (known >= 0) return tasks.with(known, { ...tasks[known], ...event });
  const at = tasks.findIndex((task) => task.id < event.id);
  return at < 0 ? [...tasks, event] : tasks.toSpliced(at, 0, event);
}

/**
 * @param {Task[]} tasks
 * @param {string} id
 * @returns {Task[]}
 */
export function withoutTask(tasks, id) {
  return tasks.filter((task) => task.id !== id);
}

/**
 * @param {unknown} answer what `GET history` gave
 * @returns {Task[]}
 */
export function tasksOf(answer) {
  return Array.isArray(answer) ? answer : [];
}
