/**
 * Who wants which messages of the hub, and which topics are wanted at all.
 * Runs on: the page.
 */

/** @import { HubMessage } from "./types.js" */
/** @typedef {(message: HubMessage) => void} Listener */

/** Listeners by the type of message. */
export class Listeners {
  /** @type {Map<string, Set<Listener>>} */
  #byType = new Map();

  /**
   * @param {string} type
   * @param {Listener} listener
   * @returns {() => void} stops listening
   */
  add(type, listener) {
    const listeners = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** @param {HubMessage} message */
  tell(message) {
    for (const listener of [...(this.#byType.get(message.type) ?? [])]) listener(message);
  }
}

/** Counts who wants a topic; the hub is told only of the first and the last. */
export class Topics {
  /** @type {Map<string, number>} */
  #wanted = new Map();
  #tell;

  /** @param {(type: "subscribe" | "unsubscribe", topics: string[]) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** Tells the hub again, on a new connection. */
  renew() {
    if (this.#wanted.size > 0) this.#tell("subscribe", [...this.#wanted.keys()]);
  }

  /** @param {string} topic */
  want(topic) {
    const count = this.#wanted.get(topic) ?? 0;
    this.#wanted.set(topic, count + 1);
    if (count === 0) this.#tell("subscribe", [topic]);
  }

  /** @param {string} topic */
  release(topic) {
    const count = this.#wanted.get(topic) ?? 0;
    if (count > 1) {
      this.#wanted.set(topic, count - 1);
    } else if (this.#wanted.delete(topic)) {
      this.#tell("unsubscribe", [topic]);
    }
  }
}
