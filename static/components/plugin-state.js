/**
 * How a plugin does: a dot, or a dot with a word.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { pluginMood, pluginWord, settingsOf } from "../lib/plugin-list.js";
import { isAdmin } from "../lib/session.js";
import { Icon } from "./icon.js";

/** @import { Plugin } from "../lib/types.js" */

/** @param {{plugin: Plugin}} props */
export function HealthDot({ plugin }) {
  return html`<span class="health-dot" data-mood=${pluginMood(plugin)}></span>`;
}

/** @param {{plugin: Plugin}} props */
export function PluginBadge({ plugin }) {
  return html`<span class="badge" data-mood=${pluginMood(plugin)}>
    <${HealthDot} plugin=${plugin} />${pluginWord(plugin)}
  </span>`;
}

/**
 * Why it is not well, in words, with the file that it is about.
 * @param {{plugin: Plugin}} props
 */
export function PluginReason({ plugin }) {
  if (!plugin.reason) return null;
  const mood = pluginMood(plugin);
  return html`<p class="note reason" data-kind=${mood === "bad" ? "error" : "info"}>
    <span><code class="mono">${plugin.file}</code>: ${plugin.reason}</span>
  </p>`;
}

/**
 * The way to its settings, when they are what it waits for.
 * @param {{plugin: Plugin}} props
 */
export function SettingsNote({ plugin }) {
  if (!isAdmin.value || !plugin.needs_settings) return null;
  return html`<a class="button soft settings-link" href=${settingsOf(plugin)}>
    <${Icon} name="settings" /><span>Fill in its settings</span>
  </a>`;
}
