/**
 * Who is logged in, and the ways in and out.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { ApiError, get, post, sentence } from "./api.js";

/** @import { User } from "./types.js" */

/** @type {import("@preact/signals").Signal<User | null>} */
export const user = signal(null);

/** Where we stand: `asking` until the hub has said who we are.
 * @type {import("@preact/signals").Signal<"asking" | "in" | "out" | "unreachable">} */
export const phase = signal("asking");

/** A sentence to show on the login page. */
export const notice = signal("");

export const isAdmin = computed(() => user.value?.role === "admin");

/** @param {User | null} person */
function become(person) {
  user.value = person;
  phase.value = person ? "in" : "out";
}

/**
 * Asks the hub who this browser is.
 * @param {{quietly?: boolean}} [options] `quietly` shows nothing new until there is an answer
 */
export async function restore({ quietly = false } = {}) {
  if (!quietly) phase.value = "asking";
  try {
    become((await get("auth/me")).user);
  } catch {
    phase.value = "unreachable";
  }
}

/** Looks whether somebody has logged in meanwhile, in another window of this browser. */
export async function lookAgain() {
  if (document.hidden || phase.peek() !== "out") return;
  try {
    const { user: person } = await get("auth/me");
    if (person && phase.peek() === "out") become(person);
  } catch {
    // Whoever logs in is told that the hub cannot be reached.
  }
}

/**
 * Whether the session still stands. A hub that cannot be reached has not ended it.
 * @returns {Promise<boolean>}
 */
export async function isAlive() {
  try {
    return (await get("auth/me")).authenticated;
  } catch {
    return true;
  }
}

/**
 * @param {string} username
 * @param {string} password
 * @returns {Promise<{error: string, lockedSeconds: number}>} an empty error means we are in
 */
export async function login(username, password) {
  try {
    const answer = await post("auth/login", { username, password });
    notice.value = "";
    become(answer.user);
    return { error: "", lockedSeconds: 0 };
  } catch (error) {
    const locked = error instanceof ApiError ? Number(error.body.locked_until) || 0 : 0;
    return { error: sentence(error), lockedSeconds: locked };
  }
}

/** Ends the session here and at the hub. */
export async function logout() {
  await post("auth/logout");
  notice.value = "";
  become(null);
}

/** What happens when the hub has ended the session. */
export function expire() {
  if (phase.value !== "in") return;
  notice.value = "Your session has ended. Please log in again.";
  become(null);
}
