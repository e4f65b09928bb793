/**
 * The runs that are open in tabs, for as long as the browser's own tab is; closing one of them
 * ends the watching, not the run.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { ApiError, get } from "./api.js";
import { LiveQuery } from "./live-query.js";
import { isActive, mergeTask, withTask } from "./task-list.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { Task } from "./types.js" */

const KEY = "toru.run-tabs";
const MOST = 12;
const NOT_FOUND = 404;

/** @returns {string[]} */
function storedIds() {
  try {
    const ids = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string").slice(0, MOST) : [];
  } catch {
    return [];
  }
}

/** @param {string[]} ids */
function store(ids) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(ids));
  } catch {
    // A browser that keeps nothing: the tabs last until the page is left.
  }
}

/**
 * The tab to show after one was closed: the next one, else the one before.
 * @param {string[]} ids
 * @param {string} closed
 * @returns {string | undefined}
 */
export function neighbour(ids, closed) {
  const at = ids.indexOf(closed);
  return ids[at + 1] ?? ids[at - 1];
}

/**
 * The tabs with one more; over the limit, the oldest one that has ended goes, else the oldest.
 * @param {string[]} ids
 * @param {string} added
 * @param {(id: string) => boolean} isRunning
 * @param {number} [most]
 * @returns {string[]}
 */
export function withTab(ids, added, isRunning, most = MOST) {
  if (ids.includes(added)) return ids;
  if (ids.length < most) return [...ids, added];
  const goes = ids.find((id) => !isRunning(id)) ?? ids[0];
  return [...ids.filter((id) => id !== goes), added];
}

export class RunTabs {
  #ids = signal(storedIds());
  /** @type {LiveQuery<Task[]>} */
  #query;

  /** The open runs, in the order in which they were opened.
   * @type {import("@preact/signals").ReadonlySignal<Task[]>} */
  tabs = computed(() => {
    const known = this.#query.value.value ?? [];
    return this.#ids.value.map((id) => known.find((task) => task.id === id) ?? { id });
  });

  /** @param {HubSocket} socket */
  constructor(socket) {
    this.#query = new LiveQuery(socket, {
      topic: "tasks",
      load: () => this.#load(),
      apply: (tasks, event) =>
        this.#ids.peek().includes(event.id) ? withTask(tasks, event) : tasks,
    });
  }

  connect() {
    this.#query.connect();
  }

  disconnect() {
    this.#query.disconnect();
  }

  /** @param {string} id */
  open(id) {
    if (this.#ids.peek().includes(id)) return;
    const isRunning = (/** @type {string} */ other) => {
      const task = this.#query.value.peek()?.find((each) => each.id === other);
      return isActive(task ?? null);
    };
    this.#set(withTab(this.#ids.peek(), id, isRunning));
    this.#query.refresh();
  }

  /**
   * @param {string} id
   * @returns {string | undefined} the tab to show instead
   */
  close(id) {
    const next = neighbour(this.#ids.peek(), id);
    this.#set(this.#ids.peek().filter((each) => each !== id));
    return next;
  }

  /** @param {string[]} ids */
  #set(ids) {
    this.#ids.value = ids;
    store(ids);
  }

  async #load() {
    const known = this.#query.value.peek() ?? [];
    const found = await Promise.all(this.#ids.peek().map((id) => this.#loadOne(id)));
    return found.flatMap((task) => {
      const before = known.find((each) => each.id === task?.id);
      return task ? [before ? mergeTask(before, task) : task] : [];
    });
  }

  /** @param {string} id @returns {Promise<Task | null>} null when it is not there any more */
  async #loadOne(id) {
    try {
      const { output, ...task } = await get(`tasks/${encodeURIComponent(id)}`);
      return task;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== NOT_FOUND) throw error;
      return null;
    }
  }
}
