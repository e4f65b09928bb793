/**
 * Who is logged in, the way to the account, and the way out.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { navigate } from "../lib/router.js";
import { isAdmin, logout, user } from "../lib/session.js";
import { Button } from "./button.js";

/** Ends the session and shows the login page. */
export async function leave() {
  await logout();
  navigate("/login", { replace: true });
}

export function Person() {
  const person = user.value;
  const name = person?.display_name || person?.username;
  return html`<div class="person">
    <a class="person-name" href="/account" title="Your account">
      <strong>${name}</strong>
      <span class="muted">${person?.username}${isAdmin.value && ", administrator"}</span>
    </a>
    <${Button} look="quiet" icon="logout" label="Log out" onPress=${leave} />
  </div>`;
}
