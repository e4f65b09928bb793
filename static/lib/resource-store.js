/**
 * The machine's figures: the first from a request, the next as they come over the WebSocket.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { get, sentence } from "./api.js";
import { Cleanups } from "./connect.js";

/** @import { Resources } from "./types.js" */
/** @import { HubSocket } from "./socket.js" */

const SAMPLES_KEPT = 60;

export class ResourceStore {
  /** @type {import("@preact/signals").Signal<Resources | null>} */
  latest = signal(null);
  /** The last samples, oldest first, in percent.
   * @type {import("@preact/signals").Signal<{cpu: number[], memory: number[]}>} */
  trail = signal({ cpu: [], memory: [] });
  error = signal("");

  #socket;
  #cleanups = new Cleanups();

  /** @param {HubSocket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  connect() {
    this.#cleanups.add(this.#socket.subscribe("resources", (sample) => this.#take(sample)));
    this.refresh();
  }

  disconnect() {
    this.#cleanups.run();
  }

  async refresh() {
    try {
      this.#take(await get("resources"));
    } catch (error) {
      this.error.value = sentence(error);
    }
  }

  /** @param {Resources} sample */
  #take(sample) {
    this.error.value = "";
    this.latest.value = sample;
    const { cpu, memory } = this.trail.value;
    this.trail.value = {
      cpu: [...cpu, sample.cpu_percent].slice(-SAMPLES_KEPT),
      memory: [...memory, sample.memory_percent].slice(-SAMPLES_KEPT),
    };
  }
}
