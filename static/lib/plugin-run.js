/**
 * A run that a plugin's page has started: its output, its end, and how to end it.
 * Runs on: the page.
 */
import { post } from "./api.js";
import { RunStream } from "./run-stream.js";

/** @import { OutputPiece, PluginRun, RunEnd } from "../../sdk/js/toru-plugin" */
/** @import { HubSocket } from "./socket.js" */
/** @import { HubMessage } from "./types.js" */
/** @typedef {(text: string, piece: OutputPiece) => void} OutputHandler */

/**
 * @param {string} taskId
 * @param {HubSocket} socket
 * @param {AbortSignal} life aborted when the page is left; the run goes on
 * @returns {PluginRun}
 */
export function followRun(taskId, socket, life) {
  /** @type {Set<OutputHandler>} */
  const handlers = new Set();
  const tell = (/** @type {string} */ text, /** @type {OutputPiece} */ piece) => {
    for (const handler of [...handlers]) {
      try {
        handler(text, piece);
      } catch (error) {
        console.error("A plugin's handler of output failed.", error);
      }
    }
  };
  /** @type {Promise<RunEnd>} */
  const done = new Promise((resolve, reject) => {
    const end = (/** @type {() => void} */ settle) => {
      stream.disconnect();
      settle();
    };
    const stream = new RunStream(socket, taskId, {
      write: (text, isError) => tell(text, { stream: isError ? "stderr" : "stdout" }),
      gap: (missing) => tell("", { stream: "stdout", missing }),
      ended: (message) => end(() => resolve(endOf(message))),
      failed: (sentence) => end(() => reject(new Error(sentence))),
    });
    life.addEventListener("abort", () => stream.disconnect());
    stream.connect();
  });
  done.catch(() => {}); // whoever does not ask for the end is not told of a failure either
  life.addEventListener("abort", () => handlers.clear());
  return Object.freeze({
    taskId,
    done,
    cancel: async () => {
      await post(`tasks/${encodeURIComponent(taskId)}/cancel`);
    },
    onOutput: (/** @type {OutputHandler} */ handler) => {
      if (typeof handler !== "function") throw new TypeError("The handler must be a function.");
      if (!life.aborted) handlers.add(handler);
      return () => {
        handlers.delete(handler);
      };
    },
  });
}

/**
 * @param {HubMessage} message the last about the run
 * @returns {RunEnd}
 */
function endOf(message) {
  const cancelled = message.type === "cancelled";
  return { code: cancelled ? null : (message.code ?? null), cancelled };
}
