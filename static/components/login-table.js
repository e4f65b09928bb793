/**
 * Attempts to log in, the newest first.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { loginMood, loginWord } from "../lib/login-words.js";
import { Icon } from "./icon.js";
import { Moment } from "./time.js";

/** @import { LoginAttempt } from "../lib/types.js" */

const SIGNS = /** @type {const} */ ({ good: "check", warn: "lock", bad: "close" });

/** @param {{attempt: LoginAttempt}} props */
function Row({ attempt }) {
  const mood = loginMood(attempt);
  return html`<tr>
    <th scope="row" class="cell-main"><strong class="row-name">${attempt.username || "(no name)"}</strong></th>
    <td class="cell-badge">
      <span class="badge" data-mood=${mood}><${Icon} name=${SIGNS[mood]} size=${14} />${loginWord(attempt)}</span>
    </td>
    <td data-name="From" class="numeric">${attempt.ip_address || "–"}</td>
    <td data-name="When"><${Moment} at=${attempt.attempted_at} /></td>
  </tr>`;
}

/** @param {{attempts: LoginAttempt[]}} props */
export function LoginTable({ attempts }) {
  return html`<table class="grid logins">
    <thead>
      <tr>
        <th scope="col">Name</th>
        <th scope="col">What came of it</th>
        <th scope="col">From the address</th>
        <th scope="col">When</th>
      </tr>
    </thead>
    <tbody>${attempts.map((attempt) => html`<${Row} key=${attempt.id} attempt=${attempt} />`)}</tbody>
  </table>`;
}
