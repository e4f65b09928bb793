/**
 * Quick actions as buttons, each with how its script stands.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { sentence } from "../lib/api.js";
import { stateWord } from "../lib/format.js";
import { html } from "../lib/html.js";
import { runAction } from "../lib/run-action.js";
import { isAdmin } from "../lib/session.js";
import { isActive } from "../lib/task-list.js";
import { showToast } from "../lib/toasts.js";
import { Button } from "./button.js";
import { ActionIcon } from "./icon.js";
import { Empty } from "./states.js";
import { Ago, Duration } from "./time.js";

/** @import { ActivityStore } from "../lib/activity-store.js" */
/** @import { QuickAction, Task } from "../lib/types.js" */

/** @param {{last: Task | undefined}} props */
function Standing({ last }) {
  if (!last) return html`<span class="standing">Not run yet</span>`;
  return html`<span class="standing" data-state=${last.state}>
    ${last.state === "running" && html`<span class="pulse"></span>`}
    ${stateWord(last.state)}
    ${" · "}
    ${isActive(last) ? html`<${Duration} task=${last} />` : html`<${Ago} at=${last.finished_at ?? last.created_at} />`}
  </span>`;
}

/**
 * @param {{action: QuickAction, last: Task | undefined, onShow: (taskId: string) => void}} props
 */
function ActionButton({ action, last, onShow }) {
  const [busy, setBusy] = useState(false);
  const execute = async () => {
    setBusy(true);
    try {
      const task = await runAction(action, { isRunning: last?.state === "running" });
      if (task) onShow(task);
    } catch (error) {
      showToast(`${action.name}: ${sentence(error)}`, "error");
    } finally {
      setBusy(false);
    }
  };
  const label = `${last && isActive(last) ? "Watch" : "Output of"} ${action.name}`;
  return html`<li class="action card">
    <button type="button" class="action-press" disabled=${busy} onClick=${execute}>
      <span class="action-icon"><${ActionIcon} name=${action.icon} /></span>
      <span class="action-name">${action.name}</span>
      <${Standing} last=${last} />
    </button>
    ${
      last &&
      html`<div class="action-last">
        <${Button} look="quiet" icon="scripts" label=${label} onPress=${() => onShow(last.id)} />
      </div>`
    }
  </li>`;
}

/**
 * @param {{activity: ActivityStore, onShow: (taskId: string) => void}} props
 */
export function QuickActions({ activity, onShow }) {
  const actions = activity.actions.value;
  if (actions.length === 0) {
    return html`<div class="card">
      <${Empty} icon="bolt" title="No quick actions yet">
        ${
          isAdmin.value
            ? html`A quick action is a button here that runs one of your scripts.
                <a href="/quick-actions">Add one</a>`
            : "An administrator can put buttons here for scripts that you may run."
        }
      <//>
    </div>`;
  }
  return html`<ul class="actions">
    ${actions.map(
      (action) => html`<${ActionButton}
        key=${action.id}
        action=${action}
        last=${activity.lastRunOf(action)}
        onShow=${onShow}
      />`,
    )}
  </ul>`;
}
