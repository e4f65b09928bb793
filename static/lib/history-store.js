/**
 * The runs of the past, a page at a time, with what happens meanwhile worked in.
 * Runs on: the page.
 */
import { get } from "./api.js";
import { PagedQuery } from "./paged-query.js";
import { withTask } from "./task-list.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { Task } from "./types.js" */

const PAGE = 30;

export class HistoryStore {
  /** @type {PagedQuery<Task>} */
  #query;
  #state;

  /**
   * @param {HubSocket} socket
   * @param {string} state only runs in this state; empty for all
   */
  constructor(socket, state) {
    this.#state = state;
    this.#query = new PagedQuery(socket, {
      topic: "tasks",
      size: PAGE,
      load: (before) => this.#page(before),
      add: withTask,
      apply: (tasks, event) => (this.#belongs(event, tasks) ? withTask(tasks, event) : tasks),
    });
    this.tasks = this.#query.items;
    this.error = this.#query.error;
    this.atEnd = this.#query.atEnd;
    this.loadingMore = this.#query.loadingMore;
  }

  connect() {
    this.#query.connect();
  }

  disconnect() {
    this.#query.disconnect();
  }

  /** Loads the newest page and forgets the older ones. */
  refresh() {
    return this.#query.refresh();
  }

  /** Adds the next older page. */
  more() {
    return this.#query.more();
  }

  /**
   * @param {string | null} before
   * @returns {Promise<Task[]>}
   */
  #page(before) {
    const query = new URLSearchParams({ limit: String(PAGE), output: "0" });
    if (before) query.set("before", before);
    if (this.#state) query.set("state", this.#state);
    return get(`history?${query}`);
  }

  /**
   * Whether a run is to be in the list: never one that is not shown and older than the loaded
   * pages, for the next page is asked for by the oldest shown.
   * @param {Task} event @param {Task[]} shown
   */
  #belongs(event, shown) {
    if (shown.some((task) => task.id === event.id)) return true;
    const wanted = !this.#state || event.state === this.#state;
    return wanted && (this.atEnd.value || event.id > (shown.at(-1)?.id ?? ""));
  }
}
