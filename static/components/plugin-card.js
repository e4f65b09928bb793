/**
 * One plugin of the list.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { detailsOf, hasPage, pageOf } from "../lib/plugin-list.js";
import { isAdmin } from "../lib/session.js";
import { Icon } from "./icon.js";
import { PluginSwitch, RestartButton } from "./plugin-controls.js";
import { PluginFigures } from "./plugin-figures.js";
import { PluginIcon } from "./plugin-icon.js";
import { PluginBadge, PluginReason, SettingsNote } from "./plugin-state.js";

/** @import { Plugin } from "../lib/types.js" */

/**
 * Whether it ever was more than a file: one that could not say what it is has no log.
 * @param {Plugin} plugin
 */
const isKnown = (plugin) => plugin.version !== "";

/** @param {{plugin: Plugin}} props */
function Words({ plugin }) {
  const about = [plugin.version && `Version ${plugin.version}`, plugin.author].filter(Boolean);
  return html`<div class="plugin-words">
    <h2>
      ${hasPage(plugin) ? html`<a href=${pageOf(plugin)}>${plugin.name}</a>` : plugin.name}
    </h2>
    <p class="muted">${about.join(" · ") || html`<code class="mono">${plugin.file}</code>`}</p>
  </div>`;
}

/** @param {{plugin: Plugin}} props */
function Actions({ plugin }) {
  const open =
    hasPage(plugin) &&
    html`<a class="button soft" href=${pageOf(plugin)}><${Icon} name="open" /><span>Open</span></a>`;
  if (!isAdmin.value) return open && html`<footer class="plugin-actions">${open}</footer>`;
  if (!isKnown(plugin)) return null;
  return html`<footer class="plugin-actions">
    <${PluginSwitch} plugin=${plugin} />
    <a class="button quiet" href=${detailsOf(plugin)}><${Icon} name="list" /><span>Details</span></a>
    <${RestartButton} plugin=${plugin} look="quiet" />
    ${open}
  </footer>`;
}

/** @param {{plugin: Plugin}} props */
export function PluginCard({ plugin }) {
  return html`<li class="card plugin" data-state=${plugin.state}>
    <header class="plugin-head">
      <${PluginIcon} plugin=${plugin} />
      <${Words} plugin=${plugin} />
      <${PluginBadge} plugin=${plugin} />
    </header>
    <${PluginReason} plugin=${plugin} />
    <${SettingsNote} plugin=${plugin} />
    ${isKnown(plugin) && html`<${PluginFigures} plugin=${plugin} />`}
    <${Actions} plugin=${plugin} />
  </li>`;
}
