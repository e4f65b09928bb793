/**
 * What is shown in the place of a plugin's page when there is none to show.
 * Runs on: the page.
 */
import { useEffect, useState } from "preact/hooks";
import { get } from "../lib/api.js";
import { html } from "../lib/html.js";
import { detailsOf, isMoving } from "../lib/plugin-list.js";
import { isAdmin } from "../lib/session.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";
import { LogRow } from "./log-view.js";
import { RestartButton } from "./plugin-controls.js";
import { PluginReason, SettingsNote } from "./plugin-state.js";

/** @import { LogLine, Plugin } from "../lib/types.js" */

const LINES_SHOWN = 8;

/**
 * @param {string} id
 * @returns {LogLine[]} the last of its log, oldest first; none for whoever may not see it
 */
function useLastLines(id) {
  const [lines, setLines] = useState(/** @type {LogLine[]} */ ([]));
  useEffect(() => {
    let wanted = isAdmin.value;
    const path = `plugins/${encodeURIComponent(id)}/logs?page_size=${LINES_SHOWN}`;
    if (wanted) {
      get(path)
        .then((page) => wanted && setLines(page.logs.reverse()))
        .catch((error) => console.warn("The log could not be read.", error));
    }
    return () => {
      wanted = false;
    };
  }, [id]);
  return lines;
}

/** @param {{plugin: Plugin}} props */
function LastLines({ plugin }) {
  const lines = useLastLines(plugin.id);
  if (lines.length === 0) return null;
  return html`<section aria-label="Last lines of its log">
    <h3>The last lines of its log</h3>
    <ol class="log-lines">${lines.map((line, i) => html`<${LogRow} key=${i} line=${line} />`)}</ol>
    <a href=${detailsOf(plugin)}>The whole log</a>
  </section>`;
}

/** @param {{plugin: Plugin, error: string, onRetry: () => void}} props */
export function PageFailed({ plugin, error, onRetry }) {
  return html`<div class="card plugin-trouble" role="alert">
    <h2 class="trouble-title"><${Icon} name="alert" />The page of this plugin cannot be shown</h2>
    <p class="note" data-kind="error">${error}</p>
    <${LastLines} plugin=${plugin} />
    <div class="plugin-actions"><${Button} look="primary" icon="again" onPress=${onRetry}>Try again<//></div>
  </div>`;
}

/** @param {Plugin} plugin */
function waitingWords(plugin) {
  if (plugin.state === "backoff") return "This plugin has failed and is started again in a moment";
  if (plugin.state === "broken") return "This plugin cannot be used";
  if (plugin.state === "stopping") return "This plugin is stopping…";
  return isMoving(plugin) ? "This plugin is starting…" : "This plugin does not run";
}

/** @param {{plugin: Plugin}} props */
export function PageWaits({ plugin }) {
  return html`<div class="card plugin-trouble" data-state=${plugin.state} role="status">
    <h2 class="trouble-title">
      ${isMoving(plugin) ? html`<span class="pulse"></span>` : html`<${Icon} name="alert" />`}
      ${waitingWords(plugin)}
    </h2>
    <p class="muted">The page comes back by itself as soon as the plugin is ready.</p>
    <${PluginReason} plugin=${plugin} />
    <${SettingsNote} plugin=${plugin} />
    ${plugin.state !== "starting" && html`<${LastLines} key=${plugin.state} plugin=${plugin} />`}
    ${isAdmin.value && !isMoving(plugin) && html`<div class="plugin-actions"><${RestartButton} plugin=${plugin} /></div>`}
  </div>`;
}
