/**
 * What the dashboard tells about runs: those going on, the last failures, and the last run of
 * each quick action.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { get, sentence } from "./api.js";
import { Cleanups } from "./connect.js";
import { tasksOf, withTask } from "./task-list.js";
import { isActive } from "./task-store.js";

/** @import { QuickAction, Task } from "./types.js" */
/** @import { HubSocket } from "./socket.js" */

const FAILURES_SHOWN = 5;
const KEPT_AT_MOST = 400;

/** @param {Task} task */
function hasFailed(task) {
  return task.state === "failed" || task.state === "interrupted";
}

export class ActivityStore {
  /** @type {import("@preact/signals").Signal<QuickAction[]>} */
  actions = signal([]);
  loaded = signal(false);
  error = signal("");
  /** @type {import("@preact/signals").Signal<Task[]>} */
  #tasks = signal([]);

  running = computed(() => this.#tasks.value.filter(isActive));
  failures = computed(() => this.#tasks.value.filter(hasFailed).slice(0, FAILURES_SHOWN));

  #socket;
  #cleanups = new Cleanups();

  /** @param {HubSocket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  connect() {
    this.#cleanups.add(
      this.#socket.subscribe("tasks", (event) => this.#take(event)),
      this.#socket.whenOpen(() => this.refresh()),
    );
    this.refresh();
  }

  disconnect() {
    this.#cleanups.run();
  }

  /**
   * @param {QuickAction} action
   * @returns {Task | undefined} its script's newest run
   */
  lastRunOf(action) {
    return this.#tasks.value.find((task) => task.script_name === action.script_path);
  }

  async refresh() {
    try {
      this.actions.value = await get("quick-actions");
      this.#tasks.value = await this.#load();
      this.error.value = "";
      this.loaded.value = true;
    } catch (error) {
      this.error.value = sentence(error);
    }
  }

  async #load() {
    const scripts = [...new Set(this.actions.value.map((action) => action.script_path))];
    const queries = [
      "state=running&limit=50",
      "state=queued&limit=50",
      `state=failed&limit=${FAILURES_SHOWN}`,
      `state=interrupted&limit=${FAILURES_SHOWN}`,
      ...scripts.map((script) => `script=${encodeURIComponent(script)}&limit=1`),
    ];
    const answers = await Promise.all(queries.map((query) => get(`history?${query}`)));
    return answers.flatMap(tasksOf).reduce(withTask, /** @type {Task[]} */ ([]));
  }

  /** @param {Task} event */
  #take(event) {
    this.#tasks.value = withTask(this.#tasks.value, event);
    if (this.#tasks.value.length > KEPT_AT_MOST) this.refresh();
  }
}
