/**
 * Runs as short lines, each a link to the run.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { isActive } from "../lib/task-list.js";
import { StateBadge } from "./state-badge.js";
import { Ago, Duration } from "./time.js";

/** @import { Task } from "../lib/types.js" */

/** @param {{tasks: Task[]}} props */
export function TaskLines({ tasks }) {
  return html`<ul class="lines">
    ${tasks.map(
      (task) => html`<li key=${task.id}>
        <a href=${`/history/${encodeURIComponent(task.id)}`}>
          <${StateBadge} state=${task.state} />
          <span class="mono line-name">${task.script_name}</span>
          <span class="muted">
            ${isActive(task) ? html`<${Duration} task=${task} />` : html`<${Ago} at=${task.finished_at ?? task.created_at} />`}
          </span>
        </a>
      </li>`,
    )}
  </ul>`;
}
