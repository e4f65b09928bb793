/**
 * The machine's figures: the first from a request, the next as they come over the WebSocket.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { get, sentence } from "./api.js";
import { Cleanups } from "./connect.js";
import { pointOf, pointsOf, TRAIL_S, withPoints } from "./recent-trail.js";

/** @import { Point } from "./recent-trail.js" */
/** @import { Resources } from "./types.js" */
/** @import { HubSocket } from "./socket.js" */

export class ResourceStore {
  /** @type {import("@preact/signals").Signal<Resources | null>} */
  latest = signal(null);
  error = signal("");

  #points = signal(/** @type {Point[]} */ ([]));
  #socket;
  #wasLost = false;
  #cleanups = new Cleanups();

  /** The last minute, oldest first, in percent. */
  trail = computed(() => ({
    cpu: this.#points.value.map((point) => point.cpu),
    memory: this.#points.value.map((point) => point.memory),
  }));

  /** @param {HubSocket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  connect() {
    this.#cleanups.add(
      this.#socket.subscribe("resources", (sample) => this.#take(sample)),
      this.#socket.status.subscribe((status) => this.#follow(status)),
    );
    this.refresh();
  }

  disconnect() {
    this.#cleanups.run();
  }

  async refresh() {
    try {
      const sample = await get("resources");
      this.#take(sample);
      await this.#lookBack(Date.parse(sample.sampled_at));
    } catch (error) {
      this.error.value = sentence(error);
    }
  }

  /** What came while the connection was lost is fetched. @param {string} status */
  #follow(status) {
    if (status === "waiting") this.#wasLost = true;
    if (status !== "open" || !this.#wasLost) return;
    this.#wasLost = false;
    this.refresh();
  }

  /** @param {number} now milliseconds, by the hub's clock */
  async #lookBack(now) {
    const from = new Date(now - TRAIL_S * 1000).toISOString();
    const history = await get(`resources/history?from=${from}&step=1`);
    this.#points.value = withPoints(this.#points.value, pointsOf(history));
  }

  /** @param {Resources} sample */
  #take(sample) {
    this.error.value = "";
    this.latest.value = sample;
    this.#points.value = withPoints(this.#points.value, [pointOf(sample)]);
  }
}
