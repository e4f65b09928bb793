/**
 * The frame of an output: its tools above, its hints below, and what there is to say when it fails.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { Icon } from "./icon.js";

/** @import { ComponentChildren } from "preact" */
/** @import { Task } from "../lib/types.js" */

/** @typedef {"lines" | "terminal"} Show */

/** @type {{show: Show, word: string, title: string}[]} */
const CHOICES = [
  { show: "lines", word: "Lines", title: "All of the output, line by line" },
  { show: "terminal", word: "Terminal", title: "The end of the output, as a terminal shows it" },
];

/** @param {{show: Show, onShow: (show: Show) => void}} props */
function Choice({ show, onShow }) {
  return html`<div class="choice" role="group" aria-label="Show the output as">
    ${CHOICES.map(
      (each) => html`<button
        key=${each.show}
        type="button"
        title=${each.title}
        aria-pressed=${each.show === show}
        onClick=${() => onShow(each.show)}
      >
        ${each.word}
      </button>`,
    )}
  </div>`;
}

/**
 * @typedef {object} FrameProps
 * @property {Task} task
 * @property {Show} show
 * @property {(show: Show) => void} onShow
 * @property {boolean} busy whether more may come
 * @property {ComponentChildren} tools
 * @property {ComponentChildren} hints
 * @property {ComponentChildren} [children]
 */

/** @param {FrameProps} props */
export function OutputFrame({ task, show, onShow, busy, tools, hints, children }) {
  const raw = `/api/tasks/${encodeURIComponent(task.id)}/output?format=raw`;
  return html`<section class="terminal" aria-label=${`Output of ${task.script_name}`} aria-busy=${busy}>
    <div class="terminal-tools" role="toolbar" aria-label="Output">
      <${Choice} show=${show} onShow=${onShow} />
      ${tools}
      <a
        class="button quiet"
        href=${raw}
        download=${`${task.script_name}-${task.id}.log`}
        title="Download the raw output"
      >
        <${Icon} name="download" /><span>Download</span>
      </a>
    </div>
    ${children}
    <div class="terminal-hints">${hints}</div>
  </section>`;
}
