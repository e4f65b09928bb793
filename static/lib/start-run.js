/**
 * Starts a script over the WebSocket and tells which run it became.
 * Runs on: the page.
 */
import { Cleanups } from "./connect.js";
import { watched } from "./run-stream.js";

/** @import { HubMessage } from "./types.js" */
/** @import { HubSocket } from "./socket.js" */

const ANSWER_WITHIN_MS = 30_000;

/** What is heard first of a new run; one that cannot be started ends without having started. */
const FIRST_SIGNS = ["queued", "started", "exit", "cancelled"];

/** Which answer belongs to which request the hub does not say, so one is asked at a time. */
let previous = Promise.resolve();

/** Runs that were the answer to an earlier request. @type {Set<string>} */
const answered = new Set();

/**
 * @param {HubSocket} socket
 * @param {string} script
 * @param {Record<string, string>} [args]
 * @returns {Promise<string>} the task id
 */
export async function startRun(socket, script, args = {}) {
  const started = previous.then(() => askOnce(socket, { type: "run", script, args }));
  previous = started.then(
    () => undefined,
    () => undefined,
  );
  const taskId = await started;
  answered.add(taskId);
  return taskId;
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
    const takeNew = (/** @type {HubMessage} */ { task_id: id }) => {
      if (id && !answered.has(id) && !watched.has(id)) resolve(id);
    };
    const fail = (/** @type {string} */ reason) => reject(new Error(reason));
    const timer = setTimeout(() => fail("The hub did not answer in time."), ANSWER_WITHIN_MS);
    cleanups.add(
      () => clearTimeout(timer),
      ...FIRST_SIGNS.map((type) => socket.on(type, takeNew)),
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
