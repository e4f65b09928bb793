/**
 * Starts a script over the WebSocket and tells which run it became.
 * Runs on: the page.
 */
import { Cleanups } from "./connect.js";

/** @import { HubSocket } from "./socket.js" */

const ANSWER_WITHIN_MS = 15_000;

/** The hub's answers do not say which request they belong to, so one is asked at a time. */
let previous = Promise.resolve();

/**
 * @param {HubSocket} socket
 * @param {string} script
 * @param {Record<string, string>} [args]
 * @returns {Promise<string>} the task id
 */
export function startRun(socket, script, args = {}) {
  const started = previous.then(() => askOnce(socket, { type: "run", script, args }));
  previous = started.then(
    () => undefined,
    () => undefined,
  );
  return started;
}

/**
 * @param {HubSocket} socket
 * @param {object} request
 * @returns {Promise<string>}
 */
function askOnce(socket, request) {
  const cleanups = new Cleanups();
  /** @type {Promise<string>} */
  const answer = new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ reason) => reject(new Error(reason));
    const timer = setTimeout(() => fail("The hub did not answer in time."), ANSWER_WITHIN_MS);
    cleanups.add(
      () => clearTimeout(timer),
      socket.on("started", (message) => resolve(message.task_id ?? "")),
      socket.on("error", (message) => {
        if (!message.task_id) fail(String(message.data));
      }),
      socket.status.subscribe((status) => {
        if (status !== "open") fail("There is no connection to the hub at the moment.");
      }),
    );
    socket.send(request);
  });
  return answer.finally(() => cleanups.run());
}
