/**
 * How an attempt to log in ended, as people say it.
 * Runs on: anywhere.
 */

/** @import { LoginAttempt } from "./types.js" */

/** @type {Record<string, string>} */
const REASONS = {
  "wrong password": "Wrong password",
  "wrong current password": "Wrong password, when changing it",
  "unknown user": "Nobody has this name",
  "account disabled": "The user is disabled",
  "locked out": "Locked out, not even looked at",
};

/** @param {LoginAttempt} attempt */
export function loginWord({ success, failure_reason }) {
  if (success) return "Logged in";
  return REASONS[failure_reason ?? ""] ?? failure_reason ?? "Refused";
}

/**
 * @param {LoginAttempt} attempt
 * @returns {"good" | "warn" | "bad"}
 */
export function loginMood({ success, failure_reason }) {
  if (success) return "good";
  return failure_reason === "locked out" ? "warn" : "bad";
}
