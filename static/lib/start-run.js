/**
 * Starts a script.
 * Runs on: the page.
 */
import { post } from "./api.js";

/**
 * @param {string} script
 * @param {Record<string, string>} [args] by parameter name
 * @returns {Promise<string>} the task id
 */
export async function startRun(script, args = {}) {
  return (await post("tasks", { script, args })).task_id;
}
