/**
 * The state of a run as a word, a sign and a colour.
 * Runs on: the page.
 */
import { stateWord } from "../lib/format.js";
import { html } from "../lib/html.js";
import { Icon } from "./icon.js";

/** @import { IconName } from "./icon.js" */

/** @type {Record<string, IconName>} */
const SIGNS = {
  queued: "wait",
  finished: "check",
  failed: "close",
  cancelled: "stop",
  interrupted: "alert",
};

/** @param {{state: string | undefined}} props */
export function StateBadge({ state = "unknown" }) {
  const sign = SIGNS[state];
  return html`<span class="badge" data-state=${state}>
    ${state === "running" && html`<span class="pulse"></span>`}
    ${sign && html`<${Icon} name=${sign} size=${14} />`}
    ${stateWord(state)}
  </span>`;
}
