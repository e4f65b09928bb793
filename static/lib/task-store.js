/**
 * What is known about one run, kept current while it is shown.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { get, post } from "./api.js";
import { Cleanups } from "./connect.js";
import { LiveQuery } from "./live-query.js";
import { isActive, mergeTask } from "./task-list.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { Task } from "./types.js" */

/** How far a cancel has come. @typedef {"requested" | "term" | "kill"} CancelStage */

const NOT_FOUND = 404;

export class TaskStore {
  /** @type {LiveQuery<Task>} */
  #query;
  #socket;
  #taskId;
  #path;
  #cleanups = new Cleanups();

  /** @type {import("@preact/signals").Signal<CancelStage | "">} */
  cancelStage = signal("");
  /** When that stage began, in milliseconds. */
  cancelSince = signal(0);
  /** How many seconds the run has to end by itself; 0 when that is not known. */
  cancelGrace = signal(0);

  /** @param {HubSocket} socket @param {string} id */
  constructor(socket, id) {
    this.#socket = socket;
    this.#taskId = id;
    this.#path = `tasks/${encodeURIComponent(id)}`;
    this.#query = new LiveQuery(socket, {
      topic: "tasks",
      load: () => get(this.#path),
      apply: (task, event) => (event.id === task.id ? mergeTask(task, event) : task),
    });
    this.task = this.#query.value;
    this.error = this.#query.error;
    this.missing = computed(() => this.#query.status.value === NOT_FOUND);
    this.active = computed(() => isActive(this.task.value));
  }

  connect() {
    this.#query.connect();
    this.#cleanups.add(
      () => this.#query.disconnect(),
      this.#socket.on("cancelling", (message) => {
        if (message.task_id !== this.#taskId) return;
        this.cancelGrace.value = message.grace_s ?? 0;
        this.#enter(/** @type {CancelStage} */ (message.stage));
      }),
    );
  }

  disconnect() {
    this.#cleanups.run();
  }

  refresh() {
    return this.#query.refresh();
  }

  /** Asks the hub to end the run; what then happens arrives as events. */
  async cancel() {
    this.#enter("requested");
    try {
      await post(`${this.#path}/cancel`);
    } catch (error) {
      this.cancelStage.value = "";
      throw error;
    }
  }

  /** @param {CancelStage} stage */
  #enter(stage) {
    if (stage === this.cancelStage.value) return;
    this.cancelStage.value = stage;
    this.cancelSince.value = Date.now();
  }
}
