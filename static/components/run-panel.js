/**
 * One run, whole: what it is, how it stands, what can be done, and its output.
 * Runs on: the page.
 */

import { useConnected } from "../lib/connect.js";
import { confirm } from "../lib/dialogs.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { runAgain } from "../lib/run-again.js";
import { TaskStore } from "../lib/task-store.js";
import { Button } from "./button.js";
import { CancelState } from "./cancel-state.js";
import { DurationTrend } from "./duration-trend.js";
import { OutputPanel } from "./output-panel.js";
import { RunFacts } from "./run-facts.js";
import { StateBadge } from "./state-badge.js";
import { Empty, Failure, Loading } from "./states.js";

/** @import { Task } from "../lib/types.js" */

/**
 * @typedef {object} RunPanelProps
 * @property {string} taskId
 * @property {(taskId: string) => void} onRunAgain
 * @property {"h1" | "h2"} [heading] the level of the title on its page
 * @property {(task: Task) => Promise<void>} [onDelete] without it there is no such button
 * @property {boolean} [withTrend] shows how long the script takes from run to run
 */

/** @param {RunPanelProps & {store: TaskStore, task: Task}} props */
function Actions({ store, task, onRunAgain, onDelete }) {
  const again = async () => {
    const id = await runAgain(task);
    if (id) onRunAgain(id);
  };
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
    <${RunFacts} task=${task} />
    <${CancelState} store=${store} />
    ${task.detail && html`<p class="note">${task.detail}</p>`}
    ${props.withTrend && html`<${DurationTrend} task=${task} />`}
    <${OutputPanel} key=${task.id} task=${task} />
  </div>`;
}
