/**
 * The processes that use the most, asked for again while they are seen; for the admin.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { get } from "../lib/api.js";
import { useConnected } from "../lib/connect.js";
import { formatBytes } from "../lib/format.js";
import { html } from "../lib/html.js";
import { PolledQuery } from "../lib/polled-query.js";
import { Failure, Loading } from "./states.js";

/**
 * @typedef {object} Process
 * @property {number} pid
 * @property {string} name
 * @property {string} user
 * @property {number} cpu_percent of one core
 * @property {number} memory_bytes
 * @property {string} command
 */

/** @typedef {{processes: Process[], total: number, sampled_at: string}} ProcessList */
/** @typedef {"cpu" | "memory"} Order */

const EVERY_MS = 3_000;
const LIMIT = 12;

/** @param {{order: Order, name: string, current: Order, onChoose: (order: Order) => void}} props */
function SortHead({ order, name, current, onChoose }) {
  const isCurrent = order === current;
  return html`<th scope="col" class="number" aria-sort=${isCurrent ? "descending" : undefined}>
    <button type="button" class="sort" aria-pressed=${isCurrent} onClick=${() => onChoose(order)}>
      ${name}
    </button>
  </th>`;
}

/** @param {{process: Process}} props */
function Row({ process }) {
  return html`<tr>
    <td class="process-name">
      <strong>${process.name}</strong>
      ${process.command && html`<span class="muted mono process-command" title=${process.command}>${process.command}</span>`}
    </td>
    <td class="process-user">${process.user}</td>
    <td class="number numeric process-pid">${process.pid}</td>
    <td class="number numeric">${process.cpu_percent.toFixed(1)} %</td>
    <td class="number numeric">${formatBytes(process.memory_bytes)}</td>
  </tr>`;
}

/** @param {{list: ProcessList, order: Order, onChoose: (order: Order) => void}} props */
function Table({ list, order, onChoose }) {
  return html`<div class="table-scroll">
    <table class="processes">
      <thead>
        <tr>
          <th scope="col">Process</th>
          <th scope="col" class="process-user">User</th>
          <th scope="col" class="number process-pid">PID</th>
          <${SortHead} order="cpu" name="CPU" current=${order} onChoose=${onChoose} />
          <${SortHead} order="memory" name="Memory" current=${order} onChoose=${onChoose} />
        </tr>
      </thead>
      <tbody>
        ${list.processes.map((process) => html`<${Row} key=${process.pid} process=${process} />`)}
      </tbody>
    </table>
  </div>`;
}

export function ProcessTable() {
  const [order, setOrder] = useState(/** @type {Order} */ ("cpu"));
  const query = useConnected(
    () =>
      /** @type {PolledQuery<ProcessList>} */ (
        new PolledQuery(() => get(`resources/processes?sort=${order}&limit=${LIMIT}`), EVERY_MS)
      ),
    [order],
  );
  const list = query.value.value;
  return html`<section class="card flush process-card" aria-labelledby="processes">
    <header class="chart-head">
      <h2 id="processes">Top processes</h2>
      <p class="chart-note muted">
        ${list ? `${list.total} in all. 100 % is one core.` : "100 % is one core."}
      </p>
    </header>
    ${!list && query.error.value && html`<${Failure} message=${query.error.value} onRetry=${query.refresh} />`}
    ${!list && !query.error.value && html`<${Loading} what="the processes" rows=${6} />`}
    ${list && html`<${Table} list=${list} order=${order} onChoose=${setOrder} />`}
  </section>`;
}
