/**
 * What there is to say about a run besides its output.
 * Runs on: the page.
 */
import { exitWords } from "../lib/exit-words.js";
import { formatBytes, formatDuration } from "../lib/format.js";
import { html } from "../lib/html.js";
import { isActive } from "../lib/task-list.js";
import { Duration, Moment } from "./time.js";

/** @import { ComponentChildren } from "preact" */
/** @import { Task } from "../lib/types.js" */

/** Who waits for less does not notice. */
const WAIT_NOTICED_S = 1;

/** @type {Record<string, string>} */
const TRIGGERS = { quick_action: "with a quick action", websocket: "", api: "" };

/** @param {{name: string, children?: ComponentChildren}} props */
function Fact({ name, children }) {
  if (children == null || children === "") return null;
  return html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
}

/** @param {Task} task */
function waited({ created_at, started_at }) {
  if (!created_at || !started_at) return null;
  const seconds = (Date.parse(started_at) - Date.parse(created_at)) / 1000;
  return seconds >= WAIT_NOTICED_S ? formatDuration(seconds) : null;
}

/** @param {Task} task */
function processor({ cpu_s, duration_s }) {
  if (cpu_s == null) return null;
  const share = duration_s ? Math.round((cpu_s / duration_s) * 100) : 0;
  return share >= 1 ? `${formatDuration(cpu_s)} (${share} % of a core)` : formatDuration(cpu_s);
}

/** @param {{task: Task}} props */
function By({ task }) {
  const trigger = TRIGGERS[task.trigger ?? ""];
  return html`${task.username}${trigger && html` <span class="muted">${trigger}</span>`}`;
}

/** @param {{args: [string, string][]}} props */
function Arguments({ args }) {
  return html`<div class="arguments">
    <dt>Called with</dt>
    <dd>
      <ul>${args.map(([name, value]) => html`<li key=${name}><code class="mono">${name}=${value}</code></li>`)}</ul>
    </dd>
  </div>`;
}

/** @param {{task: Task}} props */
export function RunFacts({ task }) {
  const args = Object.entries(task.args ?? {});
  const size = !isActive(task) && task.output_size ? formatBytes(task.output_size) : null;
  const memory = task.max_rss_bytes == null ? null : `up to ${formatBytes(task.max_rss_bytes)}`;
  return html`<dl class="facts">
    <${Fact} name="Started"><${Moment} at=${task.started_at ?? task.created_at} /><//>
    <${Fact} name="Waited before">${waited(task)}<//>
    <${Fact} name=${isActive(task) ? "Running for" : "Took"}><${Duration} task=${task} /><//>
    <${Fact} name="Exit code">${exitWords(task.exit_code)}<//>
    <${Fact} name="By">${task.username && html`<${By} task=${task} />`}<//>
    <${Fact} name="Output">${size}<//>
    <${Fact} name="Processor">${processor(task)}<//>
    <${Fact} name="Memory">${memory}<//>
    ${args.length > 0 && html`<${Arguments} args=${args} />`}
  </dl>`;
}
