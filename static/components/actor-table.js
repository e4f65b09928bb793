/**
 * The actors line by line, each below its supervisor.
 * Runs on: the page.
 */
import { heat } from "../lib/actor-tree.js";
import { html } from "../lib/html.js";
import { BusyBar, MailboxBar } from "./actor-bars.js";
import { Icon } from "./icon.js";

/** @import { Line } from "../lib/actor-tree.js" */
/** @import { ActorRow } from "../lib/actor-trails.js" */

/** @type {Record<string, string>} */
const STATES = {
  starting: "Starting",
  running: "Running",
  stopping: "Stopping",
  backoff: "Crashed, starts again",
  failed: "Given up",
  stopped: "Stopped",
};
const LONGEST_NAME = 28;

/** @param {string} name of a run it is long, and its end tells it from others */
function short(name) {
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, 6)}…${name.slice(-12)}`;
}

/** @param {number} rate */
function perSecond(rate) {
  if (rate === 0) return "–";
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en")} /s`;
}

/** @param {string} state */
function stateMood(state) {
  if (state === "running") return "good";
  if (state === "starting" || state === "stopping") return "moving";
  return state === "stopped" ? "idle" : "bad";
}

/** @param {{row: ActorRow}} props */
function Troubles({ row }) {
  const { restarts, refused, dropped, last_error: error } = row.now;
  const counts = [
    refused > 0 && `${refused.toLocaleString("en")} refused`,
    dropped > 0 && `${dropped.toLocaleString("en")} dropped`,
  ].filter(Boolean);
  return html`<span class="numeric">${restarts || "–"}</span>
    ${counts.length > 0 && html`<span class="field-hint">${counts.join(", ")}</span>`}
    ${error && html`<span class="field-hint actor-error" title=${error}>${error}</span>`}`;
}

/** @param {{line: Line, isOpen: boolean, onToggle: (key: string) => void}} props */
function Name({ line, isOpen, onToggle }) {
  const { now } = line.row;
  if (line.group) {
    const words = `${line.group.count} × ${line.group.name}`;
    return html`<button type="button" class="actor-fold" aria-expanded=${isOpen} onClick=${() => onToggle(line.key)}>
      <${Icon} name=${isOpen ? "down" : "next"} size=${16} /><span class="row-name">${words}</span>
    </button>`;
  }
  const task = now.name.startsWith("task/") ? now.name.slice("task/".length) : "";
  return html`<span class="actor-name mono" title=${now.name}>
      ${task ? html`<a href=${`/history/${encodeURIComponent(task)}`}>${short(now.name)}</a>` : short(now.name)}
    </span>
    <span class="field-hint">${now.actor}${now.flavour === "thread" && ", own thread"}</span>`;
}

/** @param {{line: Line, isOpen: boolean, onToggle: (key: string) => void}} props */
function Row({ line, isOpen, onToggle }) {
  const { row, level } = line;
  const { now } = row;
  const { name, state } = now;
  return html`<tr data-heat=${heat(row)} data-level=${Math.min(level, 4)}>
    <th scope="row" class="actor-main"><${Name} line=${line} isOpen=${isOpen} onToggle=${onToggle} /></th>
    <td class="cell-badge">
      <span class="badge" data-mood=${stateMood(state)}>${STATES[state] ?? state}</span>
    </td>
    <td class="actor-mailbox" data-name="Waiting">
      <${MailboxBar} name=${name} depth=${row.depth} peak=${row.depthPeak} limit=${now.mailbox_limit} depths=${row.depths} />
    </td>
    <td class="actor-rate numeric" data-name="Messages">${perSecond(row.rate)}</td>
    <td class="actor-busy" data-name="Busy">
      <${BusyBar} name=${name} share=${row.share} peak=${row.sharePeak} shares=${row.shares} />
    </td>
    <td class="actor-total numeric">${now.handled.toLocaleString("en")}</td>
    <td class="actor-troubles" data-name="Restarts"><${Troubles} row=${row} /></td>
  </tr>`;
}

/** @param {{lines: Line[], open: Set<string>, onToggle: (key: string) => void}} props */
export function ActorTable({ lines, open, onToggle }) {
  return html`<table class="grid actors">
    <thead>
      <tr>
        <th scope="col">Actor</th>
        <th scope="col">State</th>
        <th scope="col">Waiting messages</th>
        <th scope="col">Rate</th>
        <th scope="col">Busy</th>
        <th scope="col">Handled</th>
        <th scope="col">Restarts</th>
      </tr>
    </thead>
    <tbody>
      ${lines.map(
        (line) => html`<${Row}
          key=${line.key}
          line=${line}
          isOpen=${open.has(line.key)}
          onToggle=${onToggle}
        />`,
      )}
    </tbody>
  </table>`;
}
