/**
 * The scripts that may be run.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { get, sentence } from "./api.js";

/** @import { Script } from "./types.js" */

export class ScriptStore {
  /** @type {import("@preact/signals").Signal<Script[] | null>} */
  scripts = signal(null);
  error = signal("");

  #connected = false;

  connect() {
    this.#connected = true;
    window.addEventListener("focus", this.refresh);
    this.refresh();
  }

  disconnect() {
    this.#connected = false;
    window.removeEventListener("focus", this.refresh);
  }

  refresh = async () => {
    try {
      const scripts = await get("scripts?detail=1");
      if (!this.#connected) return;
      this.scripts.value = scripts;
      this.error.value = "";
    } catch (error) {
      this.error.value = sentence(error);
    }
  };
}

/**
 * The scripts whose name or description has all words of a text.
 * @param {Script[]} scripts
 * @param {string} text
 * @returns {Script[]}
 */
export function withWords(scripts, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return scripts.filter(({ name, description }) => {
    const said = `${name} ${description ?? ""}`.toLowerCase();
    return words.every((word) => said.includes(word));
  });
}
