/**
 * Short messages that come and go.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";

/** @typedef {"success" | "error" | "info"} ToastKind */
/** @typedef {{id: number, kind: ToastKind, message: string}} Toast */

const SHOWN_MS = { success: 4_000, info: 5_000, error: 9_000 };
let lastId = 0;

/** @type {import("@preact/signals").Signal<Toast[]>} */
export const toasts = signal([]);

/** @param {number} id */
export function dismissToast(id) {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/**
 * @param {string} message
 * @param {ToastKind} [kind]
 */
export function showToast(message, kind = "info") {
  lastId += 1;
  const id = lastId;
  toasts.value = [...toasts.value.slice(-3), { id, kind, message }];
  setTimeout(() => dismissToast(id), SHOWN_MS[kind]);
}
