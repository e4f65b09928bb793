/**
 * One run of the history.
 * Runs on: the page.
 */
import { RunPanel } from "../components/run-panel.js";
import { del } from "../lib/api.js";
import { html } from "../lib/html.js";
import { navigate } from "../lib/router.js";
import { showToast } from "../lib/toasts.js";

/** @import { Task } from "../lib/types.js" */

/** @param {Task} task */
async function remove(task) {
  await del(`tasks/${encodeURIComponent(task.id)}`);
  showToast("The run is deleted.", "success");
  navigate("/history", { replace: true });
}

/** @param {{params: {id: string}}} props */
export function RunView({ params }) {
  const again = (/** @type {string} */ id) => navigate(`/history/${encodeURIComponent(id)}`);
  return html`<a class="back" href="/history">History</a>
    <section class="card tall" aria-label="Run">
      <${RunPanel} key=${params.id} heading="h1" withTrend taskId=${params.id} onRunAgain=${again} onDelete=${remove} />
    </section>`;
}
