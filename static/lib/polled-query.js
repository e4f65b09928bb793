/**
 * Something that the hub tells only when it is asked: loaded, and loaded anew when the person
 * comes back to the page, or again and again while it is seen.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { sentence } from "./api.js";

/** @template T */
export class PolledQuery {
  /** @type {import("@preact/signals").Signal<T | null>} */
  value = signal(null);
  error = signal("");

  #load;
  #everyMs;
  #timer = 0;
  #connected = false;
  #loads = 0;

  /**
   * @param {() => Promise<T>} load
   * @param {number} [everyMs] 0 loads again only when the person comes back
   */
  constructor(load, everyMs = 0) {
    this.#load = load;
    this.#everyMs = everyMs;
  }

  connect() {
    this.#connected = true;
    window.addEventListener("focus", this.refresh);
    document.addEventListener("visibilitychange", this.#look);
    this.refresh();
  }

  disconnect() {
    this.#connected = false;
    clearTimeout(this.#timer);
    window.removeEventListener("focus", this.refresh);
    document.removeEventListener("visibilitychange", this.#look);
  }

  /** Loads anew. Of two at the same time, the newer counts. */
  refresh = async () => {
    clearTimeout(this.#timer);
    this.#loads += 1;
    const load = this.#loads;
    try {
      const value = await this.#load();
      if (load !== this.#loads || !this.#connected) return;
      this.value.value = value;
      this.error.value = "";
    } catch (error) {
      if (load !== this.#loads) return;
      this.error.value = sentence(error);
    }
    if (this.#everyMs && this.#connected) this.#timer = setTimeout(this.#look, this.#everyMs);
  };

  #look = () => {
    if (!document.hidden) this.refresh();
  };
}
