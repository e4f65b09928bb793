/**
 * Draws the short messages.
 * Runs on: the page.
 */
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { dismissToast, toasts } from "../lib/toasts.js";
import { Icon } from "./icon.js";

/** @import { Toast } from "../lib/toasts.js" */

const SIGNS = { success: "check", error: "alert", info: "bolt" };

/** @param {{toast: Toast}} props */
function ToastNote({ toast }) {
  return html`<div class="toast" data-kind=${toast.kind} role=${toast.kind === "error" ? "alert" : "status"}>
    <${Icon} name=${SIGNS[toast.kind]} />
    <p>${toast.message}</p>
    <button
      type="button"
      class="button quiet"
      aria-label="Dismiss"
      onClick=${() => dismissToast(toast.id)}
    >
      <${Icon} name="close" size=${16} />
    </button>
  </div>`;
}

/** They stand in the top layer, or an open dialog would cover them. */
export function Toasts() {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const count = toasts.value.length;
  useEffect(() => {
    if (count === 0) return undefined;
    box.current?.showPopover();
    return () => box.current?.hidePopover();
  }, [count]);
  return html`<div class="toasts" popover="manual" aria-live="polite" ref=${box}>
    ${toasts.value.map((toast) => html`<${ToastNote} key=${toast.id} toast=${toast} />`)}
  </div>`;
}
