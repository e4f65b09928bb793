/**
 * The runs of the past, a page at a time, with what happens meanwhile worked in.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { get } from "./api.js";
import { EVERYTHING, isWanted, queryOf } from "./history-filter.js";
import { PagedQuery } from "./paged-query.js";
import { isActive, withoutTask, withTask } from "./task-list.js";

/** @import { HistoryFilter } from "./history-filter.js" */
/** @import { HubSocket } from "./socket.js" */
/** @import { Task } from "./types.js" */

const PAGE = 30;

export class HistoryStore {
  /** Whether what is shown is still that of the filter before. */
  filtering = signal(false);

  /** @type {PagedQuery<Task>} */
  #query;
  #filter = EVERYTHING;
  /** When the filter was set: what counts as its last hour does not move from page to page. */
  #now = Date.now();

  /**
   * @param {HubSocket} socket
   * @param {HistoryFilter} [filter]
   */
  constructor(socket, filter = EVERYTHING) {
    this.#filter = filter;
    this.#query = new PagedQuery(socket, {
      topic: "tasks",
      size: PAGE,
      load: (before) => this.#page(before),
      add: withTask,
      apply: (tasks, event) => this.#apply(tasks, event),
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
    this.#now = Date.now();
    return this.#query.refresh();
  }

  /**
   * Shows other runs; those of before stay until these are there.
   * @param {HistoryFilter} filter
   */
  async filterBy(filter) {
    if (JSON.stringify(filter) === JSON.stringify(this.#filter)) return;
    this.#filter = filter;
    this.filtering.value = true;
    await this.refresh();
  }

  /** Adds the next older page. */
  more() {
    return this.#query.more();
  }

  /**
   * @param {string | null} before
   * @returns {Promise<Task[]>}
   */
  async #page(before) {
    const filter = this.#filter;
    const query = queryOf(filter, this.#now);
    query.set("limit", String(PAGE));
    query.set("output", "0");
    if (before) query.set("before", before);
    const page = await get(`history?${query}`);
    if (!before && filter === this.#filter) this.filtering.value = false;
    return page;
  }

  /**
   * A run that no longer is what is asked for goes; one that is new comes, but never one older
   * than the loaded pages: the next page is asked for by the oldest shown.
   * @param {Task[]} shown @param {Task} event
   */
  #apply(shown, event) {
    const isKnown = shown.some((task) => task.id === event.id);
    const mayHaveText = isWanted({ ...this.#filter, q: "" }, event, this.#now);
    if (!mayHaveText) return withoutTask(shown, event.id);
    const isNew = this.atEnd.value || event.id > (shown.at(-1)?.id ?? "");
    if (isKnown || (isNew && isWanted(this.#filter, event, this.#now))) {
      return withTask(shown, event);
    }
    if (isNew && !isActive(event)) this.#askAbout(event);
    return shown;
  }

  /**
   * Whether the text that is searched is in the output of a run that has ended, only the hub knows.
   * @param {Task} task
   */
  async #askAbout({ id, created_at }) {
    const filter = this.#filter;
    const query = queryOf({ ...filter, within: "", from: "", to: "" }, this.#now);
    const from = Date.parse(created_at ?? "");
    if (Number.isNaN(from)) return;
    query.set("after", new Date(from).toISOString());
    query.set("until", new Date(from + 1).toISOString());
    query.set("output", "0");
    /** @type {Task[]} */
    const found = await get(`history?${query}`).catch(() => []); // the next loading has it
    const run = found.find((task) => task.id === id);
    if (run && filter === this.#filter) this.tasks.value = withTask(this.tasks.value ?? [], run);
  }
}
