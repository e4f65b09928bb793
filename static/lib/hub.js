/**
 * The page's one connection to its hub, wired to the session.
 * Runs on: the page.
 */
import { effect } from "@preact/signals";
import { whenUnauthorized } from "./api.js";
import { expire, isAlive, phase } from "./session.js";
import { HubSocket } from "./socket.js";

const scheme = location.protocol === "https:" ? "wss" : "ws";

export const socket = new HubSocket(`${scheme}://${location.host}/api/ws`, {
  onEnd: expire,
  isAlive,
});

/**
 * Keeps the connection up exactly while somebody is logged in.
 * @returns {() => void} undoes it
 */
export function followSession() {
  whenUnauthorized(expire);
  const stop = effect(() => {
    if (phase.value === "in") socket.connect();
    else socket.disconnect();
  });
  return () => {
    stop();
    socket.disconnect();
  };
}
