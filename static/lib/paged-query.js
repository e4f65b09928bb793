/**
 * A list that is asked for a page at a time, newest first, and kept current by events.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { LiveQuery } from "./live-query.js";

/** @import { HubSocket } from "./socket.js" */

/**
 * @template {{id: string | number}} T
 * @typedef {object} Pages
 * @property {string} topic
 * @property {number} size how many there are on a page that is not the last
 * @property {(before: T["id"] | null) => Promise<T[]>} load the newest page, or the one that
 *   follows the item of this id
 * @property {(items: T[], item: T) => T[]} add pure; the item may be there already
 * @property {(items: T[], event: any) => T[]} apply pure; an event may be older than the items
 */

/**
 * @template {{id: string | number}} T
 */
export class PagedQuery {
  /** Whether there is nothing older than what is shown. */
  atEnd = signal(false);
  loadingMore = signal(false);

  /** @type {LiveQuery<T[]>} */
  #query;
  #pages;
  #loads = 0;

  /** @param {HubSocket} socket @param {Pages<T>} pages */
  constructor(socket, pages) {
    this.#pages = pages;
    this.#query = new LiveQuery(socket, {
      topic: pages.topic,
      load: () => this.#newest(),
      apply: pages.apply,
    });
    this.items = this.#query.value;
    this.error = this.#query.error;
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

  /**
   * Adds the next older page, unless the list has been loaded anew meanwhile: that page would
   * leave a hole in it.
   */
  async more() {
    const oldest = this.#oldest();
    if (oldest === null || this.loadingMore.value) return;
    this.loadingMore.value = true;
    try {
      const page = await this.#pages.load(oldest);
      if (this.#oldest() !== oldest) return;
      this.atEnd.value = page.length < this.#pages.size;
      this.#query.update((items) => page.reduce(this.#pages.add, items));
    } finally {
      this.loadingMore.value = false;
    }
  }

  #oldest() {
    return this.items.value?.at(-1)?.id ?? null;
  }

  async #newest() {
    this.#loads += 1;
    const load = this.#loads;
    const page = await this.#pages.load(null);
    if (load === this.#loads) this.atEnd.value = page.length < this.#pages.size;
    return page;
  }
}
