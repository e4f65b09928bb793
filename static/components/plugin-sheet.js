/**
 * A plugin over the list: what it is, its log and what has happened to it.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { hasPage, pageOf } from "../lib/plugin-list.js";
import { plugins } from "../lib/plugins.js";
import { Button } from "./button.js";
import { Dialog } from "./dialog.js";
import { EventList } from "./event-list.js";
import { LogView } from "./log-view.js";
import { PluginSwitch, RestartButton } from "./plugin-controls.js";
import { PluginFigures } from "./plugin-figures.js";
import { PluginIcon } from "./plugin-icon.js";
import { PluginBadge, PluginReason } from "./plugin-state.js";
import { SandboxSwitch } from "./sandbox-switch.js";
import { Empty, Loading } from "./states.js";

/** @import { Plugin } from "../lib/types.js" */

/** @param {{plugin: Plugin}} props */
function Facts({ plugin }) {
  const facts = {
    Version: plugin.version,
    Author: plugin.author,
    Id: plugin.id,
    File: plugin.file,
    Route: plugin.route,
    Protocol: plugin.protocol && `version ${plugin.protocol}`,
    Process: plugin.pid,
  };
  const known = Object.entries(facts).filter(([, value]) => value);
  return html`<dl class="facts">
    ${known.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** @param {{plugin: Plugin}} props */
function Whole({ plugin }) {
  const [part, setPart] = useState("log");
  return html`<div class="plugin-sheet">
    <header class="plugin-head">
      <${PluginIcon} plugin=${plugin} />
      <h2>${plugin.name}</h2>
      <${PluginBadge} plugin=${plugin} />
      <div class="plugin-actions">
        <${PluginSwitch} plugin=${plugin} />
        <${RestartButton} plugin=${plugin} />
      </div>
    </header>
    <${PluginReason} plugin=${plugin} />
    <${Facts} plugin=${plugin} />
    <${PluginFigures} plugin=${plugin} />
    ${plugin.state !== "broken" && plugin.has_page !== false && html`<${SandboxSwitch} plugin=${plugin} />`}
    <div class="parts" role="group" aria-label="Show">
      <${Button} look="quiet" pressed=${part === "log"} onPress=${() => setPart("log")}>Log<//>
      <${Button} look="quiet" pressed=${part === "events"} onPress=${() => setPart("events")}>Events<//>
    </div>
    ${
      part === "log"
        ? html`<${LogView} id=${plugin.id} name=${plugin.name} />`
        : html`<${EventList} id=${plugin.id} />`
    }
  </div>`;
}

/** @param {{id: string, onClose: () => void}} props */
export function PluginSheet({ id, onClose }) {
  const plugin = plugins.find(id);
  return html`<${Dialog} label=${plugin?.name ?? "Plugin"} look="sheet" onClose=${onClose}>
    <div class="sheet-bar">
      ${plugin && hasPage(plugin) && html`<a class="button quiet" href=${pageOf(plugin)}>Open its page</a>`}
      <${Button} look="quiet" icon="close" label="Close" onPress=${onClose} />
    </div>
    ${!plugins.loaded.value && html`<${Loading} what="the plugin" />`}
    ${plugin && html`<${Whole} key=${id} plugin=${plugin} />`}
    ${
      plugins.loaded.value &&
      !plugin &&
      html`<${Empty} icon="gone" title="There is no such plugin">Its file is gone.<//>`
    }
  <//>`;
}
