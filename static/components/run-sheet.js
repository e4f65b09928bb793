/**
 * A run over the page, for a look without leaving it.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { Button } from "./button.js";
import { Dialog } from "./dialog.js";
import { lazy } from "./lazy-view.js";

const RunPanel = lazy(async () => (await import("./run-panel.js")).RunPanel);

/** Begins to load what a run is shown with, for whoever is about to open one. */
export const preloadRun = () => RunPanel.preload();

/**
 * @param {{taskId: string, onShow: (taskId: string) => void, onClose: () => void}} props
 */
export function RunSheet({ taskId, onShow, onClose }) {
  return html`<${Dialog} label="Run" look="sheet" onClose=${onClose}>
    <div class="sheet-bar">
      <a class="button quiet" href=${`/history/${encodeURIComponent(taskId)}`}>Open as a page</a>
      <${Button} look="quiet" icon="close" label="Close" onPress=${onClose} />
    </div>
    <${RunPanel} taskId=${taskId} onRunAgain=${onShow} />
  <//>`;
}
