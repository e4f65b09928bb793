/**
 * The plugins, kept current: for the sidebar, their list and their pages alike.
 * Runs on: the page.
 */
import { computed } from "@preact/signals";
import { get } from "./api.js";
import { Cleanups } from "./connect.js";
import { LiveQuery } from "./live-query.js";
import { findPlugin, withPlugin } from "./plugin-list.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { Plugin } from "./types.js" */

export class PluginStore {
  /** @type {LiveQuery<Plugin[]>} */
  #query;
  #socket;
  #cleanups = new Cleanups();

  /** @param {HubSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    this.#query = new LiveQuery(socket, {
      topic: "plugin-states",
      load: () => get("plugins"),
      apply: (plugins, event) =>
        event.type === "plugin" ? withPlugin(plugins, event.plugin) : plugins,
    });
    this.list = this.#query.value;
    this.error = this.#query.error;
    this.loaded = computed(() => this.list.value !== null);
  }

  connect() {
    this.#query.connect();
    this.#cleanups.add(
      () => this.#query.disconnect(),
      this.#socket.subscribe("plugin-states", (event) => {
        if (event.type === "plugins") this.refresh();
      }),
    );
  }

  /** Forgets the plugins too: the next to log in may see others. */
  disconnect() {
    this.#cleanups.run();
    this.list.value = null;
  }

  refresh() {
    return this.#query.refresh();
  }

  /**
   * @param {string} id
   * @returns {Plugin | undefined}
   */
  find(id) {
    return findPlugin(this.list.value ?? [], id);
  }
}
