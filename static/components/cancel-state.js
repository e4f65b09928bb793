/**
 * What cancelling does at this moment: asked, told to stop, ended by force, gone.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { useNow } from "./time.js";

/** @import { TaskStore } from "../lib/task-store.js" */

/** A run told to stop gets this long before it is ended by force. */
const GRACE_S = 5;

/** @param {{askedAt: number}} props */
function Stages({ askedAt }) {
  const seconds = (useNow(250) - askedAt) / 1000;
  const forced = seconds >= GRACE_S;
  const left = Math.max(1, Math.ceil(GRACE_S - seconds));
  return html`<ol class="stages" aria-label="Cancelling">
    <li data-done>Requested</li>
    <li data-done=${forced} data-now=${!forced}>Told to stop (TERM)${!forced && ` · ${left} s left`}</li>
    <li data-now=${forced}>Ended by force (KILL)</li>
    <li>Cancelled</li>
  </ol>`;
}

/** @param {{store: TaskStore}} props */
export function CancelState({ store }) {
  const askedAt = store.cancelAskedAt.value;
  if (!askedAt || !store.active.value) return null;
  return html`<div role="status"><${Stages} askedAt=${askedAt} /></div>`;
}
