/**
 * One run, whole: what it is, how it stands, what can be done, and its output.
 * Runs on: the page.
 */

import { useConnected } from "../lib/connect.js";
import { confirm } from "../lib/dialogs.js";
import { formatBytes, formatExit } from "../lib/format.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { startRun } from "../lib/start-run.js";
import { isActive } from "../lib/task-list.js";
import { TaskStore } from "../lib/task-store.js";
import { Button } from "./button.js";
import { CancelState } from "./cancel-state.js";
import { OutputPanel } from "./output-panel.js";
import { StateBadge } from "./state-badge.js";
import { Empty, Failure, Loading } from "./states.js";
import { Duration, Moment } from "./time.js";

/** @import { ComponentChildren } from "preact" */
/** @import { Task } from "../lib/types.js" */

/** @param {{name: string, children?: ComponentChildren}} props */
function Fact({ name, children }) {
  if (children == null) return null;
  return html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
}

/** @param {{task: Task}} props */
function Facts({ task }) {
  const args = Object.entries(task.args ?? {});
  return html`<dl class="facts">
    <${Fact} name="Started"><${Moment} at=${task.started_at ?? task.created_at} /><//>
    <${Fact} name=${isActive(task) ? "Running for" : "Took"}><${Duration} task=${task} /><//>
    <${Fact} name="Exit code">${formatExit(task.exit_code)}<//>
    <${Fact} name="By">${task.username}<//>
    <${Fact} name="Output">${!isActive(task) && task.output_size ? formatBytes(task.output_size) : null}<//>
    <${Fact} name="Processor">${task.cpu_s == null ? null : `${task.cpu_s.toFixed(1)} s`}<//>
    <${Fact} name="Memory">${task.max_rss_bytes == null ? null : formatBytes(task.max_rss_bytes)}<//>
    ${args.map(([name, value]) => html`<${Fact} key=${name} name=${name}>${value}<//>`)}
  </dl>`;
}

/**
 * @typedef {object} RunPanelProps
 * @property {string} taskId
 * @property {(taskId: string) => void} onRunAgain
 * @property {"h1" | "h2"} [heading] the level of the title on its page
 * @property {(task: Task) => Promise<void>} [onDelete] without it there is no such button
 */

/** @param {RunPanelProps & {store: TaskStore, task: Task}} props */
function Actions({ store, task, onRunAgain, onDelete }) {
  const again = async () => onRunAgain(await startRun(task.script_name ?? "", task.args));
  const remove = async () => {
    const text = `The record of this run of ${task.script_name} and its output will be gone for good.`;
    if (await confirm({ title: "Delete this run?", text, action: "Delete" }))
      await onDelete?.(task);
  };
  if (store.active.value) {
    const asked = store.cancelStage.value !== "";
    return html`<${Button} look="danger" icon="stop" disabled=${asked} onPress=${() => store.cancel()}>
      ${asked ? "Cancelling…" : "Cancel"}
    <//>`;
  }
  return html`<${Button} look="primary" icon="again" onPress=${again}>Run again<//>
    ${onDelete && html`<${Button} icon="trash" label="Delete this run" onPress=${remove} />`}`;
}

/** @param {RunPanelProps} props */
export function RunPanel(props) {
  const Heading = props.heading ?? "h2";
  const store = useConnected(() => new TaskStore(socket, props.taskId), [props.taskId]);
  const task = store.task.value;
  if (!task && store.missing.value) {
    return html`<${Empty} icon="gone" title="This run is not there">
      It may have been deleted, or it belongs to somebody else.
    <//>`;
  }
  if (!task && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${() => store.refresh()} />`;
  }
  if (!task) return html`<${Loading} what="the run" />`;
  return html`<div class="run">
    <header class="run-head">
      <${Heading} class="mono">${task.script_name}<//>
      <${StateBadge} state=${task.state} />
      <div class="run-actions"><${Actions} ...${props} store=${store} task=${task} /></div>
    </header>
    <${Facts} task=${task} />
    <${CancelState} store=${store} />
    ${task.detail && html`<p class="note">${task.detail}</p>`}
    <${OutputPanel} key=${task.id} task=${task} />
  </div>`;
}
