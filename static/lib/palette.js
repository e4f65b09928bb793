/**
 * The palette's state: whether it is open, what it offers, what was typed, what is chosen.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { get, sentence } from "./api.js";
import { commandItems } from "./commands.js";
import {
  actionItems,
  pageItems,
  pluginItems,
  runItems,
  scriptItems,
  search,
} from "./palette-items.js";
import { plugins } from "./plugins.js";
import { navigate } from "./router.js";
import { runAction } from "./run-action.js";
import { isAdmin } from "./session.js";
import { startRun } from "./start-run.js";
import { showToast } from "./toasts.js";

/** @import { Item } from "./palette-items.js" */
/** @import { QuickAction, Script, Task } from "./types.js" */

export const isPaletteOpen = signal(false);

/** @param {QuickAction} action */
async function execute(action) {
  const id = await runAction(action);
  if (id) navigate(`/?task=${encodeURIComponent(id)}`);
}

/** Runs a script; one that takes parameters is shown instead, where they can be filled in.
 * @param {Script} script */
async function start({ name, parameter_details }) {
  if (parameter_details?.length) return navigate(`/scripts?script=${encodeURIComponent(name)}`);
  return navigate(`/scripts/run/${encodeURIComponent(await startRun(name))}`);
}

/**
 * One opening of the palette. What it offers of the hub's is asked for anew each time; until that
 * is there, pages, plugins and commands can be gone to already.
 */
export class Palette {
  query = signal("");
  chosen = signal(0);
  loading = signal(true);
  error = signal("");

  #loaded = Promise.resolve();
  #actions = signal(/** @type {QuickAction[]} */ ([]));
  #scripts = signal(/** @type {Script[]} */ ([]));
  #runs = signal(/** @type {Task[]} */ ([]));

  #items = computed(() => [
    ...actionItems(this.#actions.value, execute),
    ...runItems(this.#runs.value, navigate),
    ...pageItems(isAdmin.value, navigate),
    ...scriptItems(this.#scripts.value, start),
    ...pluginItems(plugins.list.value ?? [], navigate),
    ...commandItems(),
  ]);

  groups = computed(() => search(this.#items.value, this.query.value));
  found = computed(() => this.groups.value.flatMap((group) => group.found));

  connect() {
    this.#loaded = this.#load();
  }

  disconnect() {}

  /** @param {string} query */
  ask(query) {
    this.query.value = query;
    this.chosen.value = 0;
  }

  /** Moves the choice, around the ends. @param {number} by */
  move(by) {
    const count = this.found.value.length;
    if (count > 0) this.chosen.value = (this.chosen.value + by + count) % count;
  }

  /** Takes what is chosen; who types faster than the hub answers is waited for. */
  async takeChosen() {
    await this.#loaded;
    const item = this.found.value[this.chosen.value]?.item;
    if (item && isPaletteOpen.value) await this.take(item);
  }

  /** Closes the palette and does it. @param {Item} item */
  async take(item) {
    isPaletteOpen.value = false;
    try {
      await item.run();
    } catch (error) {
      showToast(`${item.name}: ${sentence(error)}`, "error");
    }
  }

  async #load() {
    const scripts = isAdmin.peek() ? get("scripts?detail=1") : Promise.resolve([]);
    try {
      const answers = [get("quick-actions"), scripts, get("history?output=0&limit=8")];
      [this.#actions.value, this.#scripts.value, this.#runs.value] = await Promise.all(answers);
    } catch (error) {
      this.error.value = sentence(error);
    }
    this.loading.value = false;
  }
}
