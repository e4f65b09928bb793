/**
 * Views whose code is loaded when they are first wanted, or about to be.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { html } from "../lib/html.js";
import { Failure, Loading } from "./states.js";

/** @import { FunctionComponent } from "preact" */

const FAILED = "This page could not be loaded. Is the hub running?";

/**
 * @param {() => Promise<FunctionComponent<any>>} load imports the view
 * @returns {FunctionComponent<any> & {preload: () => Promise<void>}}
 */
export function lazy(load) {
  /** @type {import("@preact/signals").Signal<{view: FunctionComponent<any>} | null>} */
  const loaded = signal(null);
  const failed = signal(false);
  const preload = async () => {
    if (loaded.peek()) return;
    try {
      loaded.value = { view: await load() };
      failed.value = false;
    } catch {
      failed.value = true;
    }
  };
  /** @param {any} props */
  function LazyView(props) {
    useEffect(() => {
      preload();
    }, []);
    if (loaded.value) return html`<${loaded.value.view} ...${props} />`;
    if (failed.value) return html`<${Failure} message=${FAILED} onRetry=${preload} />`;
    return html`<${Loading} what="the page" />`;
  }
  return Object.assign(LazyView, { preload });
}
