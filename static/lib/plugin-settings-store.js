/**
 * A plugin's settings, and what of them has been changed here but not saved yet.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { ApiError, get, put, sentence } from "./api.js";
import { fieldsOf, isSame, savedEntry, wishOf } from "./plugin-setting-fields.js";

/** @import { Entry, PluginField } from "./plugin-setting-fields.js" */
/** @import { PluginSettings } from "./types.js" */

export class PluginSettingsStore {
  /** @type {import("@preact/signals").Signal<PluginSettings | null>} */
  saved = signal(null);
  /** Why they cannot be shown. */
  error = signal("");
  /** What was entered, by name.
   * @type {import("@preact/signals").Signal<Record<string, Entry>>} */
  #entered = signal({});
  /** The secrets that are to go.
   * @type {import("@preact/signals").Signal<string[]>} */
  #cleared = signal([]);
  /** What the hub had against it, by name.
   * @type {import("@preact/signals").Signal<Record<string, string>>} */
  refusals = signal({});
  fields = computed(() => (this.saved.value ? fieldsOf(this.saved.value.schema) : []));
  changed = computed(() => this.fields.value.filter((field) => this.#isChanged(field)));

  #path;
  #isWanted = false;

  /** @param {string} id the plugin's */
  constructor(id) {
    this.#path = `plugins/${encodeURIComponent(id)}/settings`;
  }

  connect() {
    this.#isWanted = true;
    window.addEventListener("beforeunload", this.#warn);
  }

  disconnect() {
    this.#isWanted = false;
    window.removeEventListener("beforeunload", this.#warn);
  }

  /** Loads what is saved; what was entered stays. */
  load = async () => {
    try {
      const saved = await get(this.#path);
      if (!this.#isWanted) return;
      this.saved.value = saved;
      this.error.value = "";
    } catch (error) {
      this.error.value = sentence(error);
    }
  };

  /** @param {PluginField} field @returns {Entry} what it shows */
  shown = (field) => {
    const entered = this.#entered.value;
    if (Object.hasOwn(entered, field.name)) return /** @type {Entry} */ (entered[field.name]);
    return this.saved.value ? savedEntry(field, this.saved.value) : "";
  };

  /** @param {PluginField} field @param {Entry} entry */
  enter(field, entry) {
    this.#entered.value = { ...this.#entered.value, [field.name]: entry };
    this.#cleared.value = this.#cleared.value.filter((name) => name !== field.name);
    this.refuse(field.name, "");
  }

  /** Forgets what was entered into a field, or that a secret is to go. @param {PluginField} field */
  leave(field) {
    const { [field.name]: _, ...others } = this.#entered.value;
    this.#entered.value = others;
    this.#cleared.value = this.#cleared.value.filter((name) => name !== field.name);
    this.refuse(field.name, "");
  }

  /** Has a secret go with the next saving. @param {PluginField} field */
  clear(field) {
    this.leave(field);
    this.#cleared.value = [...this.#cleared.value, field.name];
  }

  /** @param {PluginField} field */
  isCleared(field) {
    return this.#cleared.value.includes(field.name);
  }

  /** Whether a secret has a value. @param {PluginField} field */
  isSet(field) {
    return this.saved.value?.secrets_set.includes(field.name) ?? false;
  }

  discard() {
    this.#entered.value = {};
    this.#cleared.value = [];
    this.refusals.value = {};
  }

  /**
   * Saves all at once; when something is refused, nothing is saved and the fields say why.
   * @returns {Promise<string>} how the plugin gets them; empty when they were refused
   */
  async save() {
    const wish = wishOf(this.fields.value, this.shown, this.#cleared.value);
    try {
      const saved = await put(this.#path, { values: wish });
      this.discard();
      this.saved.value = saved;
      return saved.applied;
    } catch (error) {
      if (!(error instanceof ApiError) || !error.body.fields) throw error;
      this.refusals.value = error.body.fields;
      return "";
    }
  }

  /** @param {string} name @param {string} words */
  refuse(name, words) {
    this.refusals.value = { ...this.refusals.value, [name]: words };
  }

  /** @param {PluginField} field */
  #isChanged(field) {
    if (this.isCleared(field)) return true;
    if (!this.saved.value) return false;
    return !isSame(this.shown(field), savedEntry(field, this.saved.value));
  }

  /** @param {BeforeUnloadEvent} event */
  #warn = (event) => {
    if (this.changed.value.length > 0) event.preventDefault();
  };
}
