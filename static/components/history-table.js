/**
 * Runs as a table on a desk and as cards on a phone; a whole row opens the run.
 * Runs on: the page.
 */
import { formatExit } from "../lib/format.js";
import { html } from "../lib/html.js";
import { StateBadge } from "./state-badge.js";
import { Duration, Moment } from "./time.js";

/** @import { Task } from "../lib/types.js" */

/** @param {{task: Task}} props */
function Row({ task }) {
  return html`<tr>
    <td class="cell-name">
      <a class="mono" href=${`/history/${encodeURIComponent(task.id)}`}>${task.script_name}</a>
    </td>
    <td class="cell-state"><${StateBadge} state=${task.state} /></td>
    <td class="cell-time"><${Moment} at=${task.started_at ?? task.created_at} /></td>
    <td class="cell-took"><${Duration} task=${task} /></td>
    <td class="cell-user">${task.username ?? "–"}</td>
    <td class="cell-code numeric">${formatExit(task.exit_code) ?? "–"}</td>
  </tr>`;
}

/** @param {{tasks: Task[]}} props */
export function HistoryTable({ tasks }) {
  return html`<table class="history">
    <thead>
      <tr>
        <th scope="col">Script</th>
        <th scope="col">State</th>
        <th scope="col">Started</th>
        <th scope="col">Took</th>
        <th scope="col">By</th>
        <th scope="col">Exit code</th>
      </tr>
    </thead>
    <tbody>
      ${tasks.map((task) => html`<${Row} key=${task.id} task=${task} />`)}
    </tbody>
  </table>`;
}
