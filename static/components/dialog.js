/**
 * A modal window on the browser's own dialog element: focus stays in, Escape closes.
 * Runs on: the page.
 */
import { useLayoutEffect, useRef } from "preact/hooks";
import { question } from "../lib/dialogs.js";
import { html } from "../lib/html.js";

/** @import { ComponentChildren } from "preact" */

/**
 * @param {{label: string, look?: string, onClose: () => void, children?: ComponentChildren}} props
 */
export function Dialog({ label, look = "", onClose, children }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  // At once, not after the next frame: keys that are typed by then belong to the dialog.
  useLayoutEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      // Of a dialog that is gone from the page already, the browser gives no focus back.
      const isLost = document.activeElement === document.body;
      if (isLost && before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  const closeOutside = (/** @type {MouseEvent} */ event) => {
    if (event.target === ref.current) onClose();
  };
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog
    ref=${ref}
    class=${`dialog ${look}`}
    aria-label=${label}
    onCancel=${cancel}
    onMouseDown=${closeOutside}
  >
    <div class="dialog-body">${children}</div>
  </dialog>`;
}

/** The question that waits for an answer, if there is one. */
export function ConfirmDialog() {
  const asked = question.value;
  if (!asked) return null;
  return html`<${Dialog} label=${asked.title} look="small" onClose=${() => asked.answer(false)}>
    <h2>${asked.title}</h2>
    <p>${asked.text}</p>
    <div class="dialog-actions">
      <button type="button" class="button plain" onClick=${() => asked.answer(false)}>
        ${asked.cancel ?? "Keep it"}
      </button>
      <button
        type="button"
        class=${`button ${asked.harmless ? "primary" : "danger"}`}
        onClick=${() => asked.answer(true)}
      >
        ${asked.action}
      </button>
    </div>
  <//>`;
}
