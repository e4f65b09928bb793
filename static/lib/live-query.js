/**
 * Something that is asked for once and then kept current by events.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { ApiError, sentence } from "./api.js";
import { Cleanups } from "./connect.js";

/** @import { HubSocket } from "./socket.js" */

/** How long a connection that opens at this moment is waited for. */
const PATIENCE_MS = 250;

/**
 * @template T
 * @typedef {object} Query
 * @property {string} topic
 * @property {() => Promise<T>} load
 * @property {(value: T, event: any) => T} apply pure; an event may be older than the value
 */

/**
 * Misses nothing: it loads when its subscription is in force, after each reconnection too, and
 * when the hub says that it left events out; it works the events that came during loading into
 * what was loaded.
 * @template T
 */
export class LiveQuery {
  /** @type {import("@preact/signals").Signal<T | null>} */
  value = signal(null);
  error = signal("");
  /** The HTTP status of the error. */
  status = signal(0);

  #socket;
  #query;
  /** Events since the newest loading began; null when nothing is being loaded.
   * @type {any[] | null} */
  #meanwhile = null;
  #cleanups = new Cleanups();

  /** @param {HubSocket} socket @param {Query<T>} query */
  constructor(socket, query) {
    this.#socket = socket;
    this.#query = query;
  }

  connect() {
    this.#cleanups.add(
      this.#socket.subscribe(this.#query.topic, (event) => this.#take(event)),
      this.#socket.whenOpen(() => this.#socket.afterRoundTrip(() => this.refresh())),
      this.#socket.on("missed", () => this.refresh()),
    );
    if (this.#socket.status.peek() === "open") return;
    // A connection that is about to open loads it anyway; one that is not is not waited for.
    const timer = setTimeout(() => this.refresh(), PATIENCE_MS);
    this.#cleanups.add(
      () => clearTimeout(timer),
      this.#socket.whenOpen(() => clearTimeout(timer)),
    );
  }

  disconnect() {
    this.#cleanups.run();
    this.#meanwhile = null;
  }

  /** Loads anew. Of two at the same time, the newer counts. */
  async refresh() {
    /** @type {any[]} */
    const meanwhile = [];
    this.#meanwhile = meanwhile;
    try {
      const loaded = await this.#query.load();
      if (this.#meanwhile !== meanwhile) return;
      this.value.value = meanwhile.reduce(this.#query.apply, loaded);
      this.#fail("", 0);
    } catch (error) {
      if (this.#meanwhile !== meanwhile) return;
      this.#fail(sentence(error), error instanceof ApiError ? error.status : 0);
    }
    this.#meanwhile = null;
  }

  /**
   * Changes the value from here, as a person's own deed does.
   * @param {(value: T) => T} change
   */
  update(change) {
    if (this.value.value !== null) this.value.value = change(this.value.value);
  }

  /** @param {any} event */
  #take(event) {
    this.#meanwhile?.push(event);
    this.update((value) => this.#query.apply(value, event));
  }

  /** @param {string} message @param {number} status */
  #fail(message, status) {
    this.error.value = message;
    this.status.value = status;
  }
}
