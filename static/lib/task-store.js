/**
 * What is known about one run, kept current while it is shown.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { ApiError, get, post, sentence } from "./api.js";
import { Cleanups } from "./connect.js";

/** @import { Task } from "./types.js" */
/** @import { HubSocket } from "./socket.js" */

/** How far a cancel has come. @typedef {"requested" | "term" | "kill"} CancelStage */

/**
 * Whether a run has not ended yet.
 * @param {Task | null} task
 * @returns {boolean}
 */
export function isActive(task) {
  return task?.state === "queued" || task?.state === "running";
}

export class TaskStore {
  /** @type {import("@preact/signals").Signal<Task | null>} */
  task = signal(null);
  error = signal("");
  missing = signal(false);
  /** @type {import("@preact/signals").Signal<CancelStage | "">} */
  cancelStage = signal("");
  /** When that stage began, in milliseconds. */
  cancelSince = signal(0);
  active = computed(() => isActive(this.task.value));

  #socket;
  #id;
  #cleanups = new Cleanups();

  /** @param {HubSocket} socket @param {string} id */
  constructor(socket, id) {
    this.#socket = socket;
    this.#id = id;
  }

  connect() {
    this.#cleanups.add(
      this.#socket.subscribe("tasks", (event) => this.#changed(event)),
      this.#socket.on("cancelling", (message) => {
        if (message.task_id === this.#id) this.#enter(/** @type {CancelStage} */ (message.stage));
      }),
      this.#socket.whenOpen(() => this.refresh()),
    );
    this.refresh();
  }

  disconnect() {
    this.#cleanups.run();
  }

  async refresh() {
    try {
      this.task.value = await get(`tasks/${encodeURIComponent(this.#id)}`);
      this.error.value = "";
    } catch (error) {
      this.missing.value = error instanceof ApiError && error.status === 404;
      this.error.value = sentence(error);
    }
  }

  /** Asks the hub to end the run; what then happens arrives as events. */
  async cancel() {
    this.#enter("requested");
    try {
      await post(`tasks/${encodeURIComponent(this.#id)}/cancel`);
    } catch (error) {
      this.cancelStage.value = "";
      throw error;
    }
  }

  /** @param {Task} event */
  #changed(event) {
    if (event.id !== this.#id) return;
    this.task.value = { ...this.task.value, ...event };
    if (!isActive(event)) this.refresh();
  }

  /** @param {CancelStage} stage */
  #enter(stage) {
    if (stage === this.cancelStage.value) return;
    this.cancelStage.value = stage;
    this.cancelSince.value = Date.now();
  }
}
