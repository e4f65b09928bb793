/**
 * The window in which a quick action is made or changed.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { showToast } from "../lib/toasts.js";
import { CheckField, Field, TextField } from "./field.js";
import { FormDialog } from "./form-dialog.js";
import { ActionIcon } from "./icon.js";
import { IconPicker } from "./icon-picker.js";

/** @import { ActionStore, ActionForm } from "../lib/action-store.js" */
/** @import { QuickAction, Script } from "../lib/types.js" */
/** @import { FieldTies } from "./field.js" */

const CONFIRM_HINT = "For what must not happen by a slip of the finger.";

/** @param {string} name */
const missing = (name) => `The script ${name} is not in the scripts folder, so the button fails.`;

/**
 * @param {{scripts: Script[], value: string, isMissing: boolean, onChange: (name: string) => void}} props
 */
function ScriptField({ scripts, value, isMissing, onChange }) {
  const chosen = scripts.find((script) => script.name === value);
  return html`<${Field} label="Script" hint=${chosen?.description || "What the button runs."} error=${isMissing ? missing(value) : ""}>
    ${(/** @type {FieldTies} */ ties) => html`<select
      ...${ties}
      value=${value}
      onChange=${(/** @type {Event} */ event) =>
        onChange(/** @type {HTMLSelectElement} */ (event.currentTarget).value)}
    >
      <option value="" disabled>Choose a script…</option>
      ${isMissing && html`<option value=${value}>${value} (missing)</option>`}
      ${scripts.map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}
    </select>`}
  <//>`;
}

/** @param {{form: ActionForm}} props */
function Preview({ form }) {
  return html`<div class="action-preview" aria-hidden="true">
    <span class="action-icon"><${ActionIcon} name=${form.icon} /></span>
    <span class="action-name">${form.name || "Name of the button"}</span>
  </div>`;
}

/**
 * @param {{store: ActionStore, action: QuickAction | null, onClose: () => void}} props without an
 *   action one is made
 */
export function ActionDialog({ store, action, onClose }) {
  const [form, setForm] = useState(
    /** @type {ActionForm} */ ({
      name: action?.name ?? "",
      script_path: action?.script_path ?? "",
      icon: action?.icon ?? null,
      confirm: action?.confirm ?? false,
    }),
  );
  const set = (/** @type {Partial<ActionForm>} */ change) => setForm({ ...form, ...change });
  const save = async () => {
    await store.save(form, action?.id);
    showToast(`${form.name} is saved.`, "success");
    onClose();
  };
  const scripts = store.scripts.value ?? [];
  const isMissing = form.script_path !== "" && !store.names.value?.has(form.script_path);
  return html`<${FormDialog}
    title=${action ? `Edit ${action.name}` : "New quick action"}
    action=${action ? "Save" : "Add the button"}
    disabled=${!form.name.trim() || !form.script_path}
    onSubmit=${save}
    onClose=${onClose}
  >
    <${Preview} form=${form} />
    <${TextField}
      label="Name"
      value=${form.name}
      hint="What stands on the button."
      maxlength="100"
      autocomplete="off"
      autofocus
      onInput=${(/** @type {string} */ name) => set({ name })}
    />
    <${ScriptField}
      scripts=${scripts}
      value=${form.script_path}
      isMissing=${isMissing && store.scripts.value !== null}
      onChange=${(/** @type {string} */ script_path) => set({ script_path })}
    />
    <${IconPicker} value=${form.icon ?? ""} onChange=${(/** @type {string} */ icon) => set({ icon: icon || null })} />
    <${CheckField}
      label="Ask before it runs"
      checked=${form.confirm}
      hint=${CONFIRM_HINT}
      onChange=${(/** @type {boolean} */ asks) => set({ confirm: asks })}
    />
  <//>`;
}
