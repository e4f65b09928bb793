/**
 * What can be chosen about this installation.
 * Runs on: the page.
 */
import { AboutCard } from "../components/about-card.js";
import { Button } from "../components/button.js";
import { SettingRow } from "../components/setting-row.js";
import { Failure, Loading } from "../components/states.js";
import { sentence } from "../lib/api.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { grouped } from "../lib/setting-fields.js";
import { SettingsStore } from "../lib/settings-store.js";
import { showToast } from "../lib/toasts.js";

/** @param {SettingsStore} store @param {HTMLFormElement} form */
async function save(store, form) {
  const refused = await store.save();
  if (refused === 0) {
    showToast("Saved, and in force.", "success");
    return;
  }
  const first = form.querySelector('[aria-invalid="true"]');
  if (first instanceof HTMLElement) first.focus();
}

/** @param {number} changed @param {number} refused */
function standing(changed, refused) {
  const many = changed === 1 ? "One change is" : `${changed} changes are`;
  if (refused === 0) return `${many} not saved yet.`;
  return refused === 1
    ? "One change was refused; its field says why."
    : `${refused} changes were refused; their fields say why.`;
}

/** @param {{store: SettingsStore}} props */
function SaveBar({ store }) {
  const { length } = store.changed.value;
  const refused = Object.values(store.refusals.value).filter(Boolean).length;
  if (length === 0) return null;
  return html`<div class="save-bar" role="status">
    <p>${standing(length, refused)}</p>
    <${Button} onPress=${() => store.discard()}>Discard<//>
    <button class="button primary">Save</button>
  </div>`;
}

/** @param {{store: SettingsStore}} props */
function Form({ store }) {
  const settings = store.settings.value ?? [];
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    try {
      await save(store, /** @type {HTMLFormElement} */ (event.target));
    } catch (error) {
      showToast(sentence(error), "error");
    }
  };
  return html`<form class="settings" novalidate onSubmit=${submit}>
    ${grouped(settings).map(
      (group) => html`<section key=${group.title} class="card" aria-label=${group.title}>
        <h2>${group.title}</h2>
        ${group.settings.map((setting) => html`<${SettingRow} key=${setting.key} store=${store} setting=${setting} />`)}
      </section>`,
    )}
    <${SaveBar} store=${store} />
  </form>`;
}

export function SettingsView() {
  const store = useConnected(() => new SettingsStore(), []);
  const settings = store.settings.value;
  return html`<header class="page-head"><h1 tabindex="-1">Settings</h1></header>
    ${!settings && !store.error.value && html`<div class="card"><${Loading} what="the settings" rows=${6} /></div>`}
    ${!settings && store.error.value && html`<div class="card"><${Failure} message=${store.error.value} onRetry=${store.refresh} /></div>`}
    ${settings && html`<${Form} store=${store} /><${AboutCard} settings=${settings} />`}`;
}
