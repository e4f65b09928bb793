/**
 * One setting of a plugin: its name, what it means, its input, and what is wrong with it.
 * Runs on: the page.
 */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { placeholder } from "../lib/plugin-setting-fields.js";
import { FieldError } from "./field.js";
import { Icon } from "./icon.js";

/** @import { PluginField } from "../lib/plugin-setting-fields.js" */
/** @import { PluginSettingsStore } from "../lib/plugin-settings-store.js" */
/** @typedef {{store: PluginSettingsStore, field: PluginField}} FieldProps */
/** @typedef {Record<string, unknown>} Ties what ties an input to its label and sentences */
/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */

const PLAIN = { autocomplete: "off", autocapitalize: "none", spellcheck: false };

/** @param {Event} event */
const entryOf = (event) => /** @type {Control} */ (event.currentTarget).value;

/** @param {FieldProps & {ties: Ties}} props */
function TextInput({ store, field, ties }) {
  const more = field.kind === "number" ? { inputmode: "decimal" } : { type: field.input ?? "text" };
  return html`<input
    ...${PLAIN}
    ...${more}
    ...${ties}
    class=${field.kind === "number" ? "numeric" : ""}
    placeholder=${placeholder(field)}
    value=${store.shown(field)}
    onInput=${(/** @type {Event} */ event) => store.enter(field, entryOf(event))}
  />`;
}

/** @param {FieldProps & {ties: Ties}} props */
function LinesInput({ store, field, ties }) {
  return html`<textarea
    ...${PLAIN}
    ...${ties}
    rows=${4}
    placeholder=${placeholder(field)}
    value=${store.shown(field)}
    onInput=${(/** @type {Event} */ event) => store.enter(field, entryOf(event))}
  ></textarea>`;
}

/** @param {FieldProps & {ties: Ties}} props */
function ChoiceInput({ store, field, ties }) {
  const { preset, isNeeded } = field;
  const none = preset === undefined ? (isNeeded ? "Choose one" : "Not set") : `Default: ${preset}`;
  return html`<select
    ...${ties}
    value=${store.shown(field)}
    onChange=${(/** @type {Event} */ event) => store.enter(field, entryOf(event))}
  >
    <option value="">${none}</option>
    ${field.options.map((option) => html`<option key=${option} value=${String(option)}>${String(option)}</option>`)}
  </select>`;
}

/** @param {FieldProps & {ties: Ties, onCancel?: () => void}} props */
function SecretInput({ store, field, ties, onCancel }) {
  const ref = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    if (onCancel) ref.current?.focus();
  }, []);
  const shared = {
    ...PLAIN,
    ...ties,
    ref,
    value: store.shown(field),
    onInput: (/** @type {Event} */ event) => store.enter(field, entryOf(event)),
  };
  return html`<div class="secret">
    ${
      field.isLong
        ? html`<textarea ...${shared} rows=${4}></textarea>`
        : html`<input ...${shared} type="password" autocomplete="new-password" />`
    }
    ${onCancel && html`<button type="button" class="button plain" onClick=${onCancel}>Keep the present one</button>`}
  </div>`;
}

/** A secret that is set is never shown: it can be replaced or cleared.
 * @param {FieldProps & {ties: Ties}} props */
function Secret({ store, field, ties }) {
  const [isReplaced, setReplaced] = useState(false);
  const keep = () => {
    setReplaced(false);
    store.leave(field);
  };
  if (!store.isSet(field))
    return html`<${SecretInput} store=${store} field=${field} ties=${ties} />`;
  const isEntered = store.shown(field) !== "";
  if (isReplaced || isEntered) {
    return html`<${SecretInput} store=${store} field=${field} ties=${ties} onCancel=${keep} />`;
  }
  if (store.isCleared(field)) {
    return html`<div class="secret" role="group" ...${ties}>
      <span class="secret-state">Cleared when you save</span>
      <button type="button" class="button plain" onClick=${keep}>Keep it</button>
    </div>`;
  }
  return html`<div class="secret" role="group" ...${ties}>
    <span class="secret-state"><${Icon} name="lock" size=${16} />Set</span>
    <button type="button" class="button plain" onClick=${() => setReplaced(true)}>Replace</button>
    ${!field.isNeeded && html`<button type="button" class="button plain" onClick=${() => store.clear(field)}>Clear</button>`}
  </div>`;
}

/** @param {FieldProps & {ties: Ties}} props */
function Choices({ store, field, ties }) {
  const chosen = /** @type {string[]} */ (store.shown(field));
  const toggle = (/** @type {string} */ option) => {
    const wanted = (/** @type {string} */ each) => chosen.includes(each) !== (each === option);
    store.enter(field, field.options.map(String).filter(wanted));
  };
  return html`<div class="choices" role="group" ...${ties}>
    ${field.options.map(String).map(
      (option) => html`<label key=${option} class="choice">
        <input type="checkbox" checked=${chosen.includes(option)} onChange=${() => toggle(option)} />${option}
      </label>`,
    )}
  </div>`;
}

const INPUTS = {
  text: TextInput,
  number: TextInput,
  lines: LinesInput,
  choice: ChoiceInput,
  choices: Choices,
  secret: Secret,
};

/** @param {FieldProps & {id: string, described: string | undefined}} props */
function SwitchRow({ store, field, id, described }) {
  return html`<div class="switch-row">
    <input
      type="checkbox"
      id=${id}
      aria-describedby=${described}
      checked=${store.shown(field) === true}
      onChange=${(/** @type {Event} */ event) =>
        store.enter(field, /** @type {HTMLInputElement} */ (event.currentTarget).checked)}
    />
    <label for=${id}>${field.label}</label>
  </div>`;
}

/** @param {{field: PluginField, id: string, isGroup: boolean}} props */
function Label({ field, id, isGroup }) {
  const words = html`<span>
    ${field.label}${field.isNeeded && html`<span class="needed"> (needed)</span>`}
  </span>`;
  if (isGroup) return html`<span class="label" id=${`${id}-label`}>${words}</span>`;
  return html`<label for=${id}>${words}</label>`;
}

/** Whether it is drawn as a group of controls rather than as one. @param {FieldProps} props */
function isGroup({ store, field }) {
  if (field.kind === "choices") return true;
  return field.kind === "secret" && store.isSet(field) && store.shown(field) === "";
}

/** @param {FieldProps} props */
export function PluginSettingField({ store, field }) {
  const id = useId();
  const { kind, hint, name } = field;
  const refusal = store.refusals.value[name];
  const lost = store.saved.value?.unusable[name];
  const parts = [refusal && `${id}-error`, lost && `${id}-lost`, hint && `${id}-hint`];
  const described = parts.filter(Boolean).join(" ") || undefined;
  const group = isGroup({ store, field });
  const ties = {
    id,
    "aria-describedby": described,
    "aria-invalid": refusal ? true : undefined,
    ...(group ? { "aria-labelledby": `${id}-label`, tabindex: -1 } : {}),
    ...(field.isNeeded && !group ? { "aria-required": true } : {}),
  };
  return html`<div class="field plugin-setting" data-name=${name}>
    ${
      kind === "switch"
        ? html`<${SwitchRow} store=${store} field=${field} id=${id} described=${described} />`
        : html`<${Label} field=${field} id=${id} isGroup=${group} />
            <${INPUTS[kind]} store=${store} field=${field} ties=${ties} />`
    }
    ${refusal && html`<${FieldError} id=${`${id}-error`}>${refusal}<//>`}
    ${
      lost &&
      html`<p class="field-hint lost" id=${`${id}-lost`}>
        What was saved before is not allowed any more, so the default holds. ${lost}
      </p>`
    }
    ${hint && html`<p class="field-hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}
