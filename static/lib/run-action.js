/**
 * Presses a quick action, and asks before where that is wanted.
 * Runs on: the page.
 */
import { post } from "./api.js";
import { confirm } from "./dialogs.js";

/** @import { QuickAction } from "./types.js" */

/**
 * @param {QuickAction} action
 * @returns {Promise<string>} the run's id; empty when the person said no
 */
export async function runAction(action) {
  const question = {
    title: `${action.name}?`,
    text: `This runs the script ${action.script_path} on this machine now.`,
    action: "Run it",
    cancel: "Not now",
    harmless: true,
  };
  if (action.confirm && !(await confirm(question))) return "";
  return (await post(`quick-actions/${action.id}/execute`)).task_id;
}
