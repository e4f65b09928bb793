/**
 * What a plugin emits, for its page: handlers by the name of the event.
 * Runs on: the page.
 */

/** @import { EventInfo, PluginEvents } from "../../sdk/js/toru-plugin" */
/** @import { HubSocket } from "./socket.js" */

/** @typedef {(data: any, event: EventInfo) => void} Handler */
/** @typedef {{name: string, data: any, timestamp: string, number: number}} Emitted */

const ANY = "*";

/**
 * @param {string} id the plugin's
 * @param {Pick<HubSocket, "subscribe" | "whenOpen" | "afterRoundTrip">} socket
 * @param {AbortSignal} life aborted when the page is left
 * @returns {PluginEvents}
 */
export function makeEvents(id, socket, life) {
  /** @type {Set<{name: string, handler: Handler}>} */
  const wanted = new Set();
  let stop = () => {};
  let last = 0;

  const take = (/** @type {Emitted} */ { name, data, timestamp, number }) => {
    const missed = last > 0 && number > last ? number - last - 1 : 0;
    last = number;
    for (const each of [...wanted]) {
      if (each.name !== name && each.name !== ANY) continue;
      try {
        each.handler(data, { name, timestamp, missed });
      } catch (error) {
        console.error(`A handler of the plugin ${id} failed at the event ${name}.`, error);
      }
    }
  };
  const remove = (/** @type {{name: string, handler: Handler}} */ entry) => {
    if (wanted.delete(entry) && wanted.size === 0) stop();
  };
  life.addEventListener("abort", () => {
    wanted.clear();
    stop();
  });

  return Object.freeze({
    on: (/** @type {string} */ name, /** @type {Handler} */ handler) => {
      if (typeof handler !== "function") throw new TypeError("The handler must be a function.");
      if (life.aborted) return () => {};
      const entry = { name: String(name), handler };
      wanted.add(entry);
      if (wanted.size === 1) {
        last = 0;
        stop = socket.subscribe(`plugin-emitted/${id}`, take);
      }
      return () => remove(entry);
    },
    ready: () =>
      new Promise((/** @type {(value: void) => void} */ resolve) => {
        const forget = socket.whenOpen(() => socket.afterRoundTrip(() => settle()));
        const settle = () => {
          forget();
          resolve();
        };
        life.addEventListener("abort", settle);
      }),
  });
}
