/**
 * The actors, told every second for as long as the page is seen.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { ActorTrails } from "./actor-trails.js";
import { get, sentence } from "./api.js";
import { Cleanups } from "./connect.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { ActorRow } from "./actor-trails.js" */
/** @import { ActorFigures } from "./types.js" */

export class ActorStore {
  /** @type {import("@preact/signals").Signal<ActorRow[] | null>} */
  rows = signal(null);
  error = signal("");

  #socket;
  #trails = new ActorTrails();
  #cleanups = new Cleanups();
  #watching = new Cleanups();

  /** @param {HubSocket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  connect() {
    document.addEventListener("visibilitychange", this.#look);
    this.#cleanups.add(() => document.removeEventListener("visibilitychange", this.#look));
    this.#look();
    this.refresh();
  }

  disconnect() {
    this.#watching.run();
    this.#cleanups.run();
  }

  /** Asks once, so that something is there before the first second is over. */
  refresh = async () => {
    try {
      const figures = await get("actors");
      if (this.rows.value === null) this.#take(figures);
    } catch (error) {
      this.error.value = sentence(error);
    }
  };

  /** Nobody is told of actors that nobody sees. */
  #look = () => {
    this.#watching.run();
    if (document.hidden) return;
    this.#watching.add(this.#socket.subscribe("actors", (figures) => this.#take(figures)));
  };

  /** @param {ActorFigures[]} figures */
  #take(figures) {
    this.error.value = "";
    this.rows.value = this.#trails.take(figures, performance.now());
  }
}
