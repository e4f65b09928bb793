/**
 * The life of a plugin's page: its bundle is loaded, mounted, and unmounted again.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { ApiError, sentence } from "./api.js";
import { makeApi } from "./plugin-api.js";
import { loadBundle } from "./plugin-bundle.js";
import { makeTheme } from "./plugin-theme.js";

/** @import { ReadonlySignal } from "@preact/signals" */
/** @import { PluginPage, Readable } from "../../sdk/js/toru-plugin" */
/** @import { Plugin } from "./types.js" */

const SETTLES_WITHIN_MS = 3_000;

/** A page may take a moment to leave; the next one enters only then, so that no two of one
 * plugin are there at once.
 * @type {Promise<void>} */
let left = Promise.resolve();

/**
 * A signal whose subscribers are told no more once the page is left.
 * @template T
 * @param {AbortSignal} life
 * @param {ReadonlySignal<T>} source
 * @returns {Readable<T>}
 */
function until(life, source) {
  return {
    get value() {
      return source.value;
    },
    peek: () => source.peek(),
    subscribe: (handler) => {
      const stop = source.subscribe(handler);
      if (life.aborted) stop();
      else life.addEventListener("abort", stop);
      return stop;
    },
  };
}

/** @param {Promise<unknown>} promise */
function settledOrLate(promise) {
  const late = new Promise((resolve) => setTimeout(resolve, SETTLES_WITHIN_MS));
  return Promise.race([promise.then(Boolean, Boolean), late]);
}

export class PluginMount {
  /** @type {import("@preact/signals").Signal<"loading" | "mounted" | "failed" | "absent">} */
  phase = signal("loading");
  /** What went wrong. */
  error = signal("");

  #plugin;
  #path;
  #isWanted = false;
  /** @type {PluginPage | null} */
  #page = null;
  #leave = () => {};

  /**
   * @param {Plugin} plugin
   * @param {ReadonlySignal<string>} path where below its page the person is
   */
  constructor(plugin, path) {
    this.#plugin = plugin;
    this.#path = path;
  }

  /** @param {HTMLElement} host */
  connect(host) {
    this.#isWanted = true;
    const container = document.createElement("div");
    container.className = "plugin-root";
    host.append(container);
    const life = new AbortController();
    const entered = this.#enter(container, life.signal);
    this.#leave = () => {
      life.abort();
      container.remove();
      left = this.#exit(container, entered);
    };
  }

  disconnect() {
    this.#isWanted = false;
    this.#leave();
    this.#leave = () => {};
  }

  /**
   * @param {HTMLElement} container
   * @param {AbortSignal} life aborted when the page is left
   */
  async #enter(container, life) {
    try {
      await left;
      const page = await this.#load();
      if (!this.#isWanted) return;
      this.#page = page;
      const live = { path: until(life, this.#path), theme: makeTheme(life) };
      await page.mount(container, makeApi(this.#plugin, live, life));
      this.phase.value = "mounted";
    } catch (error) {
      if (!this.#isWanted) return;
      if (error instanceof ApiError && error.body.code === "no_bundle") {
        this.phase.value = "absent";
        return;
      }
      this.#fail(error);
    }
  }

  /** @returns {Promise<PluginPage>} */
  async #load() {
    if (!this.#plugin.sandboxed) return loadBundle(this.#plugin);
    const { sandboxedPage } = await import("./plugin-sandbox.js");
    return sandboxedPage(this.#plugin, (reason) => {
      if (this.#isWanted && this.phase.peek() === "mounted") this.#fail(new Error(reason));
    });
  }

  /** @param {unknown} error */
  #fail(error) {
    console.error(`The page of the plugin ${this.#plugin.id} failed.`, error);
    this.error.value = sentence(error);
    this.phase.value = "failed";
  }

  /**
   * @param {HTMLElement} container
   * @param {Promise<void>} entered
   */
  async #exit(container, entered) {
    await settledOrLate(entered);
    try {
      await settledOrLate(Promise.resolve(this.#page?.unmount?.(container)));
    } catch (error) {
      console.error(`The page of the plugin ${this.#plugin.id} did not leave in order.`, error);
    }
    this.#page = null;
  }
}
