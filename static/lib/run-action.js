/**
 * Presses a quick action, and asks before where that is wanted.
 * Runs on: the page.
 */
import { post } from "./api.js";
import { confirm } from "./dialogs.js";

/** @import { QuickAction } from "./types.js" */

/**
 * A second press of what runs already is more often a mistake than meant.
 * @param {QuickAction} action
 * @param {{isRunning?: boolean}} [options] whether its script runs at this moment
 * @returns {Promise<string>} the run's id; empty when the person said no
 */
export async function runAction(action, { isRunning = false } = {}) {
  const { name, script_path } = action;
  const question = {
    title: isRunning ? `Run ${name} once more?` : `${name}?`,
    text: isRunning
      ? `The script ${script_path} is still running. This starts it a second time, beside the first.`
      : `This runs the script ${script_path} on this machine now.`,
    action: isRunning ? "Run once more" : "Run it",
    cancel: "Not now",
    harmless: true,
  };
  if ((action.confirm || isRunning) && !(await confirm(question))) return "";
  return (await post(`quick-actions/${action.id}/execute`)).task_id;
}
