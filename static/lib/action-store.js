/**
 * The quick actions as an administrator keeps them, and the scripts that they may name.
 * Runs on: the page.
 */
import { computed } from "@preact/signals";
import { moved, withOrder } from "./action-list.js";
import { del, get, post, put } from "./api.js";
import { PolledQuery } from "./polled-query.js";

/** @import { QuickAction, Script } from "./types.js" */
/** @typedef {Pick<QuickAction, "name" | "script_path"> & {icon: string | null, confirm: boolean}} ActionForm */

export class ActionStore {
  /** @type {PolledQuery<QuickAction[]>} */
  #actions = new PolledQuery(() => get("quick-actions"));
  /** Without them the list can still be shown and put in order.
   * @type {PolledQuery<Script[]>} */
  #scripts = new PolledQuery(() => get("scripts?detail=1"));

  actions = this.#actions.value;
  error = this.#actions.error;
  scripts = this.#scripts.value;
  scriptsError = this.#scripts.error;
  names = computed(() => this.scripts.value && new Set(this.scripts.value.map(({ name }) => name)));

  connect() {
    this.#actions.connect();
    this.#scripts.connect();
  }

  disconnect() {
    this.#actions.disconnect();
    this.#scripts.disconnect();
  }

  refresh = () => Promise.all([this.#actions.refresh(), this.#scripts.refresh()]);

  /**
   * Whether the script of an action is known not to be there.
   * @param {QuickAction} action
   */
  isMissing(action) {
    return this.names.value !== null && !this.names.value.has(action.script_path);
  }

  /** @param {ActionForm} form @param {number} [id] of the one to change; without it one is added */
  async save(form, id) {
    if (id === undefined) await post("quick-actions", form);
    else await put(`quick-actions/${id}`, form);
    await this.refresh();
  }

  /** @param {number} id */
  async remove(id) {
    await del(`quick-actions/${id}`);
    await this.refresh();
  }

  /**
   * Shows the new order at once, and tells the hub.
   * @param {number} id @param {number} by -1 up, 1 down
   */
  async move(id, by) {
    const actions = this.actions.value ?? [];
    const changes = moved(actions, id, by);
    this.actions.value = withOrder(actions, changes);
    try {
      for (const { id: each, display_order } of changes) {
        await put(`quick-actions/${each}`, { display_order });
      }
    } finally {
      await this.#actions.refresh();
    }
  }
}
