/**
 * What cancelling does at this moment: asked, told to stop, ended by force, gone.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { useNow } from "./time.js";

/** @import { CancelStage, TaskStore } from "../lib/task-store.js" */

/** @type {{stage: CancelStage, words: string}[]} */
const STAGES = [
  { stage: "requested", words: "Requested" },
  { stage: "term", words: "Told to stop (TERM)" },
  { stage: "kill", words: "Ended by force (KILL)" },
];

/**
 * How long a stage has gone on, and of how long, where it has an end.
 * @param {{since: number, grace: number}} props
 */
function Waited({ since, grace }) {
  const seconds = Math.max(0, Math.floor((useNow(250) - since) / 1000));
  const told = grace ? `${Math.min(seconds, grace)} of ${grace} s` : `${seconds} s`;
  return html`<span class="numeric">${` · ${told}`}</span>`;
}

/** @param {{store: TaskStore}} props */
export function CancelState({ store }) {
  const now = STAGES.findIndex(({ stage }) => stage === store.cancelStage.value);
  if (now < 0 || !store.active.value) return null;
  return html`<ol class="stages" aria-label="Cancelling" aria-live="polite">
    ${STAGES.map(
      ({ stage, words }, i) => html`<li key=${stage} data-done=${i < now} data-now=${i === now}>
        ${words}${i === now && html`<${Waited} since=${store.cancelSince.value} grace=${stage === "term" ? store.cancelGrace.value : 0} />`}
      </li>`,
    )}
    <li>Cancelled</li>
  </ol>`;
}
