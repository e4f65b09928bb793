/**
 * Finds out that the hub has a newer dashboard than the page that is open.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";

/** @import { HubSocket } from "./socket.js" */

/** Whether the open page is older than what the hub has by now. */
export const isOutdated = signal(false);

/** @returns {Promise<string | null>} which version of the dashboard the hub has; null for not known */
async function versionThere() {
  try {
    const response = await fetch("/", { method: "HEAD", cache: "no-store" });
    return response.ok ? response.headers.get("ETag") : null;
  } catch {
    return null;
  }
}

/**
 * Looks at every opening of the connection: a hub that was replaced closed the one before.
 * @param {HubSocket} socket
 * @param {() => Promise<string | null>} [look]
 * @returns {() => void} stops it
 */
export function watchForUpdates(socket, look = versionThere) {
  /** @type {string | null} */
  let own = null;
  return socket.whenOpen(async () => {
    const there = await look();
    own ??= there;
    if (there !== null && there !== own) isOutdated.value = true;
  });
}
