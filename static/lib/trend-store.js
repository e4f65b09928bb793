/**
 * The last runs of one script, kept current; around an older one, those that led up to it.
 * Runs on: the page.
 */
import { get } from "./api.js";
import { LiveQuery } from "./live-query.js";
import { withTask } from "./task-list.js";
import { RUNS_SHOWN } from "./trend.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { Task } from "./types.js" */

/**
 * @param {Task} task
 * @returns {Promise<Task[]>} newest first
 */
async function load({ id, script_name, created_at }) {
  const query = new URLSearchParams({
    output: "0",
    limit: String(RUNS_SHOWN),
    script: script_name ?? "",
  });
  /** @type {Task[]} */
  const newest = await get(`history?${query}`);
  if (!created_at || newest.some((task) => task.id === id)) return newest;
  query.set("until", new Date(Date.parse(created_at) + 1).toISOString());
  return get(`history?${query}`);
}

export class TrendStore {
  /** @type {LiveQuery<Task[]>} */
  #query;

  /** @param {HubSocket} socket @param {Task} task */
  constructor(socket, task) {
    this.#query = new LiveQuery(socket, {
      topic: "tasks",
      load: () => load(task),
      apply: (tasks, event) => {
        const isKnown = tasks.some(({ id }) => id === event.id);
        const isNext = event.script_name === task.script_name && event.id > (tasks[0]?.id ?? "");
        if (!isKnown && !isNext) return tasks;
        return withTask(tasks, event).slice(0, RUNS_SHOWN);
      },
    });
    this.tasks = this.#query.value;
    this.error = this.#query.error;
  }

  connect() {
    this.#query.connect();
  }

  disconnect() {
    this.#query.disconnect();
  }
}
