/**
 * The quick actions in their order, and what an administrator does with each.
 * Runs on: the page.
 */
import { confirm } from "../lib/dialogs.js";
import { html } from "../lib/html.js";
import { runAction } from "../lib/run-action.js";
import { showToast } from "../lib/toasts.js";
import { Button } from "./button.js";
import { ActionIcon, Icon } from "./icon.js";

/** @import { ActionStore } from "../lib/action-store.js" */
/** @import { QuickAction } from "../lib/types.js" */
/**
 * @typedef {object} ListProps
 * @property {ActionStore} store
 * @property {(action: QuickAction) => void} onEdit
 * @property {(taskId: string) => void} onShow
 */

/** @param {ActionStore} store @param {QuickAction} action */
async function remove(store, { id, name, script_path }) {
  const text = `The button disappears for everybody. The script ${script_path} stays, but users may no longer run it unless another button does.`;
  if (!(await confirm({ title: `Delete ${name}?`, text, action: "Delete" }))) return;
  await store.remove(id);
  showToast(`${name} is deleted.`, "success");
}

/**
 * Gives the focus back to a button that has moved with its row, or to the one beside it.
 * @param {string[]} labels
 */
function focusOn(labels) {
  requestAnimationFrame(() => {
    const buttons = [...document.querySelectorAll(".action-list button:enabled")];
    const byLabel = (/** @type {string} */ label) =>
      buttons.find((button) => button.getAttribute("aria-label") === label);
    const found = labels.map(byLabel).find(Boolean);
    if (found instanceof HTMLElement) found.focus();
  });
}

/** @param {ListProps & {action: QuickAction, isFirst: boolean, isLast: boolean}} props */
function Actions({ store, action, isFirst, isLast, onEdit, onShow }) {
  const { id, name } = action;
  const tryOut = async () => {
    const task = await runAction(action);
    if (task) onShow(task);
  };
  const labels = { up: `Move ${name} up`, down: `Move ${name} down` };
  const move = async (/** @type {"up" | "down"} */ way) => {
    await store.move(id, way === "up" ? -1 : 1);
    focusOn([labels[way], ...Object.values(labels)]);
  };
  const missing = store.isMissing(action);
  return html`<div class="row-actions">
    <${Button} look="quiet" icon="up" label=${labels.up} disabled=${isFirst} onPress=${() => move("up")} />
    <${Button} look="quiet" icon="down" label=${labels.down} disabled=${isLast} onPress=${() => move("down")} />
    <${Button} look="quiet" icon="play" label=${`Try ${name} out`} disabled=${missing} onPress=${tryOut} />
    <${Button} look="quiet" icon="edit" label=${`Edit ${name}`} onPress=${() => onEdit(action)} />
    <${Button} look="quiet" icon="trash" label=${`Delete ${name}`} onPress=${() => remove(store, action)} />
  </div>`;
}

/** @param {ListProps & {actions: QuickAction[]}} props */
export function ActionList({ actions, ...rest }) {
  return html`<ol class="action-list">
    ${actions.map(
      (action, i) => html`<li key=${action.id}>
        <span class="action-icon"><${ActionIcon} name=${action.icon} /></span>
        <div class="action-words">
          <strong class="row-name">${action.name}</strong>
          <code class="mono field-hint">${action.script_path}</code>
        </div>
        <div class="action-marks">
          ${action.confirm && html`<span class="badge">Asks first</span>`}
          ${
            rest.store.isMissing(action) &&
            html`<span class="badge" data-mood="bad"><${Icon} name="alert" size=${14} />Script is missing</span>`
          }
        </div>
        <${Actions} ...${rest} action=${action} isFirst=${i === 0} isLast=${i === actions.length - 1} />
      </li>`,
    )}
  </ol>`;
}
