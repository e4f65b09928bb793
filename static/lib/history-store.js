/**
 * The runs of the past, a page at a time, with what happens meanwhile worked in.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { del, get, sentence } from "./api.js";
import { Cleanups } from "./connect.js";
import { tasksOf, withoutTask, withTask } from "./task-list.js";

/** @import { Task } from "./types.js" */
/** @import { HubSocket } from "./socket.js" */

const PAGE = 30;

export class HistoryStore {
  /** @type {import("@preact/signals").Signal<Task[] | null>} */
  tasks = signal(null);
  error = signal("");
  loadingMore = signal(false);
  atEnd = signal(false);

  #socket;
  #state;
  #cleanups = new Cleanups();

  /**
   * @param {HubSocket} socket
   * @param {string} state only runs in this state; empty for all
   */
  constructor(socket, state) {
    this.#socket = socket;
    this.#state = state;
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

  /** Loads the newest page and forgets the older ones. */
  async refresh() {
    try {
      const page = await this.#page("");
      this.tasks.value = page;
      this.atEnd.value = page.length < PAGE;
      this.error.value = "";
    } catch (error) {
      this.error.value = sentence(error);
    }
  }

  /** Adds the next older page. */
  async more() {
    const shown = this.tasks.value ?? [];
    this.loadingMore.value = true;
    try {
      const page = await this.#page(shown.at(-1)?.id ?? "");
      this.tasks.value = page.reduce(withTask, this.tasks.value ?? []);
      this.atEnd.value = page.length < PAGE;
    } finally {
      this.loadingMore.value = false;
    }
  }

  /** @param {string} id */
  async remove(id) {
    await del(`tasks/${encodeURIComponent(id)}`);
    this.tasks.value = withoutTask(this.tasks.value ?? [], id);
  }

  /** @param {string} before */
  async #page(before) {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (before) query.set("before", before);
    if (this.#state) query.set("state", this.#state);
    return tasksOf(await get(`history?${query}`));
  }

  /** @param {Task} event */
  #take(event) {
    const shown = this.tasks.value;
    if (shown && (shown.some((task) => task.id === event.id) || this.#belongs(event, shown))) {
      this.tasks.value = withTask(shown, event);
    }
  }

  /**
   * Whether a run not yet shown is to be: never one older than the loaded pages, for the next
   * page is asked for by the oldest shown.
   * @param {Task} event @param {Task[]} shown
   */
  #belongs(event, shown) {
    const oldest = shown.at(-1)?.id ?? "";
    const wanted = !this.#state || event.state === this.#state;
    return wanted && (this.atEnd.value || event.id > oldest);
  }
}
