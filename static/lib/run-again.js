/**
 * Runs a script once more as it was run, and asks before where it would run beside itself.
 * Runs on: the page.
 */
import { get } from "./api.js";
import { confirm } from "./dialogs.js";
import { startRun } from "./start-run.js";

/** @import { Task } from "./types.js" */

/**
 * @param {string} script
 * @returns {Promise<boolean>} whether a run of it that one may see has not ended
 */
async function isUnderWay(script) {
  const query = `output=0&limit=1&script=${encodeURIComponent(script)}`;
  const states = ["running", "queued"].map((state) => get(`history?${query}&state=${state}`));
  return (await Promise.all(states)).some((runs) => runs.length > 0);
}

/**
 * @param {Task} task
 * @returns {Promise<string>} the new run's id; empty when the person said no
 */
export async function runAgain({ script_name: script = "", args }) {
  const question = {
    title: "Run it beside itself?",
    text: `A run of ${script} has not ended yet. Two at the same time may get in each other's way.`,
    action: "Run it beside",
    cancel: "Not now",
    harmless: true,
  };
  if ((await isUnderWay(script)) && !(await confirm(question))) return "";
  return startRun(script, args);
}
