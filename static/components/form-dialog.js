/**
 * A form in a window of its own: what it refuses is said in it, and it stays until it is done.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { sentence } from "../lib/api.js";
import { html } from "../lib/html.js";
import { Button } from "./button.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icon.js";

/** @import { ComponentChildren } from "preact" */

/**
 * @typedef {object} FormDialogProps
 * @property {string} title
 * @property {string} action the word on the button that does it
 * @property {string} [busy] what it says meanwhile
 * @property {boolean} [disabled] it cannot be done yet
 * @property {() => Promise<void>} onSubmit closes the window when it is done; what it throws is
 *   shown
 * @property {(error: unknown) => boolean} [onRefused] whether a field shows the error itself
 * @property {() => void} onClose
 * @property {ComponentChildren} [children]
 */

/** @param {FormDialogProps} props */
export function FormDialog(props) {
  const {
    title,
    action,
    busy: busyWord = "Saving…",
    disabled,
    onSubmit,
    onRefused,
    onClose,
  } = props;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await onSubmit();
    } catch (refusal) {
      if (!onRefused?.(refusal)) setError(sentence(refusal));
      setBusy(false);
    }
  };
  return html`<${Dialog} label=${title} look="form" onClose=${onClose}>
    <header class="form-head">
      <h2>${title}</h2>
      <${Button} look="quiet" icon="close" label="Close" onPress=${onClose} />
    </header>
    <form class="form" novalidate onSubmit=${submit}>
      ${props.children}
      ${error && html`<div class="note" data-kind="error" role="alert"><${Icon} name="alert" /><p>${error}</p></div>`}
      <div class="dialog-actions">
        <button type="button" class="button plain" onClick=${onClose}>Cancel</button>
        <button class="button primary" disabled=${disabled || busy}>${busy ? busyWord : action}</button>
      </div>
    </form>
  <//>`;
}
