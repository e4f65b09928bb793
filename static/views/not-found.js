/**
 * What an address shows that leads nowhere.
 * Runs on: the page.
 */
import { Empty } from "../components/states.js";
import { html } from "../lib/html.js";

/** @import { ComponentChildren } from "preact" */

/** @param {{children?: ComponentChildren}} props */
export function NotFoundView({ children }) {
  return html`<header class="page-head"><h1 tabindex="-1">Not found</h1></header>
    <div class="card">
      <${Empty} icon="gone" title="There is no such page">
        ${children || html`<a href="/">To the dashboard</a>`}
      <//>
    </div>`;
}
