/**
 * One setting: what it is, its value in its unit, and how it differs from what it was.
 * Runs on: the page.
 */
import { useId } from "preact/hooks";
import { html } from "../lib/html.js";
import { fieldOf, inWords, meaning } from "../lib/setting-fields.js";
import { FieldError } from "./field.js";

/** @import { SettingsStore } from "../lib/settings-store.js" */
/** @import { Setting } from "../lib/types.js" */
/** @typedef {{store: SettingsStore, setting: Setting}} RowProps */

/** @param {RowProps & {id: string, described: string}} props */
function Input({ store, setting, id, described }) {
  const field = fieldOf(setting);
  const ties = {
    id,
    "aria-describedby": described,
    "aria-invalid": Boolean(store.refusals.value[setting.key]),
    value: store.shown(setting),
  };
  const typed = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLInputElement | HTMLSelectElement} */ (event.currentTarget);
    store.type(setting, value);
  };
  if (field.options) {
    return html`<select class="setting-control" ...${ties} onChange=${typed}>
      ${Object.entries(field.options).map(([value, words]) => html`<option key=${value} value=${value}>${words}</option>`)}
    </select>`;
  }
  const inputmode = field.unit ? "decimal" : undefined;
  return html`<input ...${ties} class=${`setting-control ${field.wide ? "mono" : "numeric"}`} inputmode=${inputmode} spellcheck=${false} autocomplete="off" onInput=${typed} />
    ${field.unit && html`<span class="setting-unit">${field.unit}</span>`}`;
}

/** @param {RowProps} props */
function Standing({ store, setting }) {
  const field = fieldOf(setting);
  const stored = store.stored(setting);
  const isDefault = stored === setting.default;
  const means = meaning(field, stored);
  return html`<p class="setting-standing field-hint">
    ${means && html`<strong>= ${means}</strong>`}
    ${store.isChanged(setting) && html`<span class="setting-changed">Not saved yet</span>`}
    ${
      isDefault
        ? html`<span>The default</span>`
        : html`<button type="button" class="link" onClick=${() => store.reset(setting)}>
            Reset to the default: ${inWords(field, setting.default)}
          </button>`
    }
  </p>`;
}

/** @param {RowProps} props */
export function SettingRow({ store, setting }) {
  const id = useId();
  const field = fieldOf(setting);
  const refusal = store.refusals.value[setting.key];
  const described = [`${id}-help`, refusal && `${id}-error`].filter(Boolean).join(" ");
  return html`<div class="setting" data-changed=${store.isChanged(setting)} data-wide=${Boolean(field.wide)}>
    <div class="setting-words">
      <label for=${id}>${field.label}</label>
      <p class="field-hint" id=${`${id}-help`}>${field.help}</p>
    </div>
    <div class="setting-value">
      <div class="setting-input"><${Input} store=${store} setting=${setting} id=${id} described=${described} /></div>
      ${refusal && html`<${FieldError} id=${`${id}-error`}>${refusal}<//>`}
      <${Standing} store=${store} setting=${setting} />
    </div>
  </div>`;
}
