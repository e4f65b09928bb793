/**
 * What the dashboard tells about runs: those going on, the last failures, and the last run of
 * each quick action.
 * Runs on: the page.
 */
import { computed } from "@preact/signals";
import { get } from "./api.js";
import { LiveQuery } from "./live-query.js";
import { isActive, withTask } from "./task-list.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { QuickAction, Task } from "./types.js" */
/** @typedef {{actions: QuickAction[], tasks: Task[]}} Activity */

const FAILURES_SHOWN = 5;

/** @param {Task} task */
function hasFailed(task) {
  return task.state === "failed" || task.state === "interrupted";
}

/** @returns {Promise<Activity>} */
async function load() {
  /** @type {QuickAction[]} */
  const actions = await get("quick-actions");
  const scripts = [...new Set(actions.map((action) => action.script_path))];
  const queries = [
    "state=running",
    "state=queued",
    `state=failed&limit=${FAILURES_SHOWN}`,
    `state=interrupted&limit=${FAILURES_SHOWN}`,
    ...scripts.map((script) => `script=${encodeURIComponent(script)}&limit=1`),
  ];
  const answers = await Promise.all(queries.map((query) => get(`history?output=0&${query}`)));
  return { actions, tasks: answers.flat().reduce(withTask, []) };
}

/**
 * Keeps of a list only what the page tells, so that a page open for weeks does not grow.
 * @param {Activity} activity
 * @returns {Task[]}
 */
function worthKeeping({ actions, tasks }) {
  const lastRuns = new Set(actions.map((action) => lastRun(tasks, action)));
  const failures = new Set(tasks.filter(hasFailed).slice(0, FAILURES_SHOWN));
  return tasks.filter((task) => isActive(task) || failures.has(task) || lastRuns.has(task));
}

/**
 * @param {Task[]} tasks
 * @param {QuickAction} action
 */
function lastRun(tasks, action) {
  return tasks.find((task) => task.script_name === action.script_path);
}

export class ActivityStore {
  /** @type {LiveQuery<Activity>} */
  #query;

  /** @param {HubSocket} socket */
  constructor(socket) {
    this.#query = new LiveQuery(socket, {
      topic: "tasks",
      load,
      apply: ({ actions, tasks }, event) => ({
        actions,
        tasks: worthKeeping({ actions, tasks: withTask(tasks, event) }),
      }),
    });
    this.error = this.#query.error;
    this.loaded = computed(() => this.#query.value.value !== null);
    this.actions = computed(() => this.#query.value.value?.actions ?? []);
    this.running = computed(() => this.#tasks().filter(isActive));
    this.failures = computed(() => this.#tasks().filter(hasFailed).slice(0, FAILURES_SHOWN));
  }

  connect() {
    this.#query.connect();
  }

  disconnect() {
    this.#query.disconnect();
  }

  refresh() {
    return this.#query.refresh();
  }

  /**
   * @param {QuickAction} action
   * @returns {Task | undefined} its script's newest run
   */
  lastRunOf(action) {
    return lastRun(this.#tasks(), action);
  }

  #tasks() {
    return this.#query.value.value?.tasks ?? [];
  }
}
