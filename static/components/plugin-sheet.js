/**
 * A plugin over the list: what it is, its log and what has happened to it.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { useConnected } from "../lib/connect.js";
import { confirm } from "../lib/dialogs.js";
import { html } from "../lib/html.js";
import { hasPage, pageOf } from "../lib/plugin-list.js";
import { PluginSettingsStore } from "../lib/plugin-settings-store.js";
import { plugins } from "../lib/plugins.js";
import { navigate, url } from "../lib/router.js";
import { Button } from "./button.js";
import { Dialog } from "./dialog.js";
import { EventList } from "./event-list.js";
import { LogView } from "./log-view.js";
import { PluginSwitch, RestartButton } from "./plugin-controls.js";
import { PluginFigures } from "./plugin-figures.js";
import { PluginIcon } from "./plugin-icon.js";
import { PluginSettings } from "./plugin-settings.js";
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

/** @param {string} part @param {PluginSettingsStore} store @param {Plugin} plugin */
function drawPart(part, store, plugin) {
  if (part === "settings") return html`<${PluginSettings} store=${store} plugin=${plugin} />`;
  if (part === "events") return html`<${EventList} id=${plugin.id} />`;
  return html`<${LogView} id=${plugin.id} name=${plugin.name} />`;
}

/** @param {{plugin: Plugin, store: PluginSettingsStore}} props */
function Parts({ plugin, store }) {
  const asked = url.value.searchParams.get("part");
  const [pressed, setPart] = useState("");
  const wanted = pressed || asked || "log";
  const part = wanted === "settings" && !plugin.has_settings ? "log" : wanted;
  const toggle = (/** @type {string} */ name, /** @type {string} */ words) =>
    html`<${Button} look="quiet" pressed=${part === name} onPress=${() => setPart(name)}>${words}<//>`;
  return html`<div class="parts" role="group" aria-label="Show">
      ${toggle("log", "Log")} ${toggle("events", "Events")}
      ${plugin.has_settings && toggle("settings", "Settings")}
    </div>
    ${drawPart(part, store, plugin)}`;
}

/** @param {{plugin: Plugin, store: PluginSettingsStore}} props */
function Whole({ plugin, store }) {
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
    <${Parts} plugin=${plugin} store=${store} />
  </div>`;
}

/**
 * Asks before what was entered is lost.
 * @param {PluginSettingsStore} store
 * @returns {Promise<boolean>} whether the person may leave
 */
async function mayLeave(store) {
  if (store.changed.value.length === 0) return true;
  return confirm({
    title: "Leave without saving?",
    text: "What you have changed in the settings is not saved yet.",
    action: "Discard the changes",
    cancel: "Go on editing",
  });
}

/** @param {{id: string, onClose: () => void}} props */
export function PluginSheet({ id, onClose }) {
  const plugin = plugins.find(id);
  const store = useConnected(() => new PluginSettingsStore(id), [id]);
  const close = async () => {
    if (await mayLeave(store)) onClose();
  };
  const open = async (/** @type {MouseEvent} */ event) => {
    if (store.changed.value.length === 0 || !plugin) return;
    event.preventDefault();
    if (await mayLeave(store)) navigate(pageOf(plugin));
  };
  return html`<${Dialog} label=${plugin?.name ?? "Plugin"} look="sheet" onClose=${close}>
    <div class="sheet-bar">
      ${plugin && hasPage(plugin) && html`<a class="button quiet" href=${pageOf(plugin)} onClick=${open}>Open its page</a>`}
      <${Button} look="quiet" icon="close" label="Close" onPress=${close} />
    </div>
    ${!plugins.loaded.value && html`<${Loading} what="the plugin" />`}
    ${plugin && html`<${Whole} key=${id} plugin=${plugin} store=${store} />`}
    ${
      plugins.loaded.value &&
      !plugin &&
      html`<${Empty} icon="gone" title="There is no such plugin">Its file is gone.<//>`
    }
  <//>`;
}
