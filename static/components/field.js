/**
 * One field of a form: its name, what it means, and what is wrong with it.
 * Runs on: the page.
 */
import { useId } from "preact/hooks";
import { html } from "../lib/html.js";
import { Icon } from "./icon.js";

/** @import { ComponentChildren } from "preact" */

/**
 * What ties an input to its label and to the sentences below it.
 * @typedef {{id: string, "aria-describedby"?: string, "aria-invalid"?: boolean}} FieldTies
 */

/**
 * @typedef {object} FieldProps
 * @property {string} label
 * @property {ComponentChildren} [hint]
 * @property {string} [error]
 * @property {(ties: FieldTies) => ComponentChildren} children makes the input
 */

/** @param {{id: string, children: ComponentChildren}} props */
export function FieldError({ id, children }) {
  return html`<p class="field-error" id=${id} role="alert"><${Icon} name="alert" size=${16} />${children}</p>`;
}

/** @param {FieldProps} props */
export function Field({ label, hint, error, children }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  /** @type {FieldTies} */
  const ties = { id, "aria-describedby": described || undefined, "aria-invalid": Boolean(error) };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children(ties)}
    ${error && html`<${FieldError} id=${`${id}-error`}>${error}<//>`}
    ${hint && html`<p class="field-hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/**
 * A line of text.
 * @param {{label: string, value: string, onInput: (value: string) => void, hint?: ComponentChildren,
 *   error?: string, [attribute: string]: unknown}} props further ones are those of the input
 */
export function TextField({ label, value, onInput, hint, error, ...rest }) {
  return html`<${Field} label=${label} hint=${hint} error=${error}>
    ${(/** @type {FieldTies} */ ties) => html`<input
      ...${rest}
      ...${ties}
      value=${value}
      onInput=${(/** @type {Event} */ event) =>
        onInput(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
    />`}
  <//>`;
}

/**
 * A choice of a few.
 * @param {{label: string, value: string, options: Record<string, string>, hint?: ComponentChildren,
 *   error?: string, onChange: (value: string) => void}} props the options' words by value
 */
export function SelectField({ label, value, options, hint, error, onChange }) {
  return html`<${Field} label=${label} hint=${hint} error=${error}>
    ${(/** @type {FieldTies} */ ties) => html`<select
      ...${ties}
      value=${value}
      onChange=${(/** @type {Event} */ event) =>
        onChange(/** @type {HTMLSelectElement} */ (event.currentTarget).value)}
    >
      ${Object.entries(options).map(
        ([key, words]) => html`<option key=${key} value=${key}>${words}</option>`,
      )}
    </select>`}
  <//>`;
}

/**
 * Something that is so or not.
 * @param {{label: string, checked: boolean, hint?: string, onChange: (checked: boolean) => void}} props
 */
export function CheckField({ label, checked, hint, onChange }) {
  const id = useId();
  return html`<div class="field check-field">
    <input
      type="checkbox"
      id=${id}
      checked=${checked}
      aria-describedby=${hint ? `${id}-hint` : undefined}
      onChange=${(/** @type {Event} */ event) =>
        onChange(/** @type {HTMLInputElement} */ (event.currentTarget).checked)}
    />
    <label for=${id}>${label}</label>
    ${hint && html`<p class="field-hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}
