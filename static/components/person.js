/**
 * Who is logged in, the way to the account, and the way out.
 * Runs on: the page.
 */
import { leave } from "../lib/commands.js";
import { html } from "../lib/html.js";
import { user } from "../lib/session.js";
import { Button } from "./button.js";

export function Person() {
  const person = user.value;
  const name = person?.display_name || person?.username;
  return html`<div class="person">
    <a class="person-name" href="/account" title="Your account">
      <strong>${name}</strong>
      <span class="muted">${person?.display_name ? person.username : "Your account"}</span>
    </a>
    <${Button} look="quiet" icon="logout" label="Log out" onPress=${leave} />
  </div>`;
}
