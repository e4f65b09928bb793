/**
 * Ties the life of a store to the component that shows it.
 * Runs on: the page.
 */
import { useEffect, useMemo } from "preact/hooks";

/**
 * Something that opens in `connect` exactly what it closes in `disconnect`.
 * @typedef {object} Connectable
 * @property {() => void} connect
 * @property {() => void} disconnect
 */

/**
 * Makes a store, connects it while the component is shown, and disconnects it after.
 * @template {Connectable} T
 * @param {() => T} create
 * @param {unknown[]} inputs a change of one makes a new store
 * @returns {T}
 */
export function useConnected(create, inputs) {
  const store = useMemo(create, inputs);
  useEffect(() => {
    store.connect();
    return () => store.disconnect();
  }, [store]);
  return store;
}

/** Collects undo functions and runs them all once, newest first. */
export class Cleanups {
  /** @type {(() => void)[]} */
  #undo = [];

  /** @param {...(() => void)} undo */
  add(...undo) {
    this.#undo.push(...undo);
  }

  run() {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }
}
