/**
 * The settings of a plugin, as a form that is drawn from what the plugin declares.
 * Runs on: the page.
 */
import { useEffect } from "preact/hooks";
import { sentence } from "../lib/api.js";
import { html } from "../lib/html.js";
import { savedWords } from "../lib/plugin-setting-fields.js";
import { showToast } from "../lib/toasts.js";
import { Button } from "./button.js";
import { PluginSettingField } from "./plugin-setting-field.js";
import { Failure, Loading } from "./states.js";

/** @import { PluginSettingsStore } from "../lib/plugin-settings-store.js" */
/** @import { Plugin } from "../lib/types.js" */

/** @param {PluginSettingsStore} store @param {Plugin} plugin @param {HTMLFormElement} form */
async function save(store, plugin, form) {
  const applied = await store.save();
  if (applied) {
    showToast(savedWords(plugin.name, applied), "success");
    return;
  }
  // The sentences are there after the next drawing.
  await new Promise((resolve) => requestAnimationFrame(resolve));
  const first = form.querySelector('[aria-invalid="true"]');
  if (first instanceof HTMLElement) first.focus();
}

/** @param {number} changed @param {number} refused */
function standing(changed, refused) {
  if (refused === 1) return "One setting is not right; nothing was saved.";
  if (refused > 1) return `${refused} settings are not right; nothing was saved.`;
  return changed === 1 ? "One change is not saved yet." : `${changed} changes are not saved yet.`;
}

/** @param {{store: PluginSettingsStore, isAlways: boolean}} props */
function SaveBar({ store, isAlways }) {
  const changed = store.changed.value.length;
  const refused = Object.values(store.refusals.value).filter(Boolean).length;
  if (!changed && !refused && !isAlways) return null;
  return html`<div class="save-bar">
    <p role="status">${(changed > 0 || refused > 0) && standing(changed, refused)}</p>
    ${(changed > 0 || refused > 0) && html`<${Button} onPress=${() => store.discard()}>Discard<//>`}
    <button class="button primary">Save</button>
  </div>`;
}

/** @param {{store: PluginSettingsStore, plugin: Plugin}} props */
function Form({ store, plugin }) {
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    try {
      await save(store, plugin, /** @type {HTMLFormElement} */ (event.target));
    } catch (error) {
      showToast(sentence(error), "error");
    }
  };
  const { description } = store.saved.value?.schema ?? {};
  return html`<form class="plugin-settings" aria-label="Settings" novalidate onSubmit=${submit}>
    ${description && html`<p class="muted">${description}</p>`}
    ${store.fields.value.map((field) => html`<${PluginSettingField} key=${field.name} store=${store} field=${field} />`)}
    <${SaveBar} store=${store} isAlways=${plugin.state === "broken"} />
  </form>`;
}

/** @param {{store: PluginSettingsStore, plugin: Plugin}} props */
export function PluginSettings({ store, plugin }) {
  useEffect(() => {
    store.load();
  }, [store, plugin.version]);
  if (store.saved.value) return html`<${Form} store=${store} plugin=${plugin} />`;
  if (!store.error.value) return html`<${Loading} what="the settings" rows=${6} />`;
  return html`<${Failure} message=${store.error.value} onRetry=${store.load} />`;
}
