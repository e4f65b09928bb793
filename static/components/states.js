/**
 * What is shown when there is nothing to show: loading, empty, failed.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

/** @import { ComponentChildren } from "preact" */
/** @import { IconName } from "./icon.js" */

/** @param {{what: string, rows?: number}} props */
export function Loading({ what, rows = 3 }) {
  return html`<div class="loading" role="status">
    <span class="visually-hidden">Loading ${what}…</span>
    ${Array.from({ length: rows }, (_, row) => html`<div key=${row} class="skeleton"></div>`)}
  </div>`;
}

/** @param {{icon: IconName, title: string, children?: ComponentChildren}} props */
export function Empty({ icon, title, children }) {
  return html`<div class="empty">
    <${Icon} name=${icon} size=${28} />
    <p class="empty-title">${title}</p>
    ${children && html`<p>${children}</p>`}
  </div>`;
}

/** @param {{message: string, onRetry: () => unknown}} props */
export function Failure({ message, onRetry }) {
  return html`<div class="failure" role="alert">
    <${Icon} name="alert" size=${22} />
    <p>${message}</p>
    <${Button} icon="again" onPress=${onRetry}>Try again<//>
  </div>`;
}
