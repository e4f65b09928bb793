/**
 * The ways to the plugins' pages, each with how it does.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { hasPage, pageOf, pluginMood, pluginWord } from "../lib/plugin-list.js";
import { plugins } from "../lib/plugins.js";
import { path } from "../lib/router.js";
import { PluginIcon } from "./plugin-icon.js";
import { HealthDot } from "./plugin-state.js";

/** @import { Plugin } from "../lib/types.js" */

/** @param {{plugin: Plugin}} props */
function PluginLink({ plugin }) {
  const href = pageOf(plugin);
  const isCurrent = path.value === href || path.value.startsWith(`${href}/`);
  const word = pluginWord(plugin);
  return html`<a class="plugin-link" href=${href} title=${`${plugin.name}: ${word}`} aria-current=${isCurrent ? "page" : undefined}>
    <${PluginIcon} plugin=${plugin} size="small" />
    <span class="link-name">${plugin.name}</span>
    ${pluginMood(plugin) !== "good" && html`<span class="visually-hidden">(${word})</span>`}
    <${HealthDot} plugin=${plugin} />
  </a>`;
}

export function PluginLinks() {
  const shown = (plugins.list.value ?? []).filter(hasPage);
  if (shown.length === 0) return null;
  return html`<nav class="links plugin-links" aria-label="Plugins">
    ${shown.map((plugin) => html`<${PluginLink} key=${plugin.id} plugin=${plugin} />`)}
  </nav>`;
}
