/**
 * The settings, and what of them has been changed here but not saved yet.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { ApiError, get, put, sentence } from "./api.js";
import { PolledQuery } from "./polled-query.js";
import { fieldOf, refusalAt, toShown, toStored } from "./setting-fields.js";

/** @import { Setting } from "./types.js" */

/** @param {Setting} setting */
const shownNow = (setting) => toShown(fieldOf(setting), setting.value);

export class SettingsStore {
  /** @type {PolledQuery<Setting[]>} */
  #query = new PolledQuery(async () => (await get("settings")).settings);

  settings = this.#query.value;
  error = this.#query.error;
  /** What was typed, by key.
   * @type {import("@preact/signals").Signal<Record<string, string>>} */
  #typed = signal({});
  /** What the hub had against it, by key.
   * @type {import("@preact/signals").Signal<Record<string, string>>} */
  refusals = signal({});
  changed = computed(() => (this.settings.value ?? []).filter((each) => this.isChanged(each)));

  connect() {
    this.#query.connect();
    window.addEventListener("beforeunload", this.#warn);
  }

  disconnect() {
    this.#query.disconnect();
    window.removeEventListener("beforeunload", this.#warn);
  }

  refresh = () => this.#query.refresh();

  /** @param {Setting} setting @returns {string} what its field shows */
  shown(setting) {
    return this.#typed.value[setting.key] ?? shownNow(setting);
  }

  /** @param {Setting} setting @returns {string} what the hub would be told of it */
  stored(setting) {
    return toStored(fieldOf(setting), this.shown(setting));
  }

  /** @param {Setting} setting */
  isChanged(setting) {
    return this.shown(setting) !== shownNow(setting);
  }

  /** @param {Setting} setting @param {string} shown */
  type(setting, shown) {
    this.#typed.value = { ...this.#typed.value, [setting.key]: shown };
    this.#refuse(setting.key, "");
  }

  /** @param {Setting} setting */
  reset(setting) {
    this.type(setting, toShown(fieldOf(setting), setting.default));
  }

  discard() {
    this.#typed.value = {};
    this.refusals.value = {};
  }

  /**
   * Saves what was changed, each for itself: what is refused stays typed, with the reason at it.
   * @returns {Promise<number>} how many were refused
   */
  async save() {
    const changed = this.changed.value;
    for (const setting of changed) await this.#save(setting);
    await this.refresh();
    return changed.filter(({ key }) => this.refusals.value[key]).length;
  }

  /** @param {Setting} setting */
  async #save(setting) {
    const { key } = setting;
    const sent = this.shown(setting);
    try {
      await put(`settings/${encodeURIComponent(key)}`, { value: this.stored(setting) });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 400) throw error;
      this.#refuse(key, refusalAt(fieldOf(setting), key, sentence(error)));
      return;
    }
    const value = this.stored(setting);
    this.settings.value = (this.settings.value ?? []).map((each) =>
      each.key === key ? { ...each, value } : each,
    );
    if (this.#typed.value[key] === sent) {
      const { [key]: _, ...others } = this.#typed.value;
      this.#typed.value = others;
    }
  }

  /** @param {string} key @param {string} words */
  #refuse(key, words) {
    this.refusals.value = { ...this.refusals.value, [key]: words };
  }

  /** @param {BeforeUnloadEvent} event */
  #warn = (event) => {
    if (this.changed.value.length > 0) event.preventDefault();
  };
}
