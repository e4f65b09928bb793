/**
 * Who may log in.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { Button } from "../components/button.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { EditUserDialog, NewUserDialog, ResetPasswordDialog } from "../components/user-dialogs.js";
import { UserList } from "../components/user-list.js";
import { get } from "../lib/api.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { PolledQuery } from "../lib/polled-query.js";

/** @import { Account } from "../lib/types.js" */
/** @typedef {{kind: "new"} | {kind: "edit" | "password", user: Account}} Open */

const ADMIN_NOTE =
  "Besides these there is the administrator whose name and password are set where Toru is started.";

/** @param {{store: PolledQuery<Account[]>, onOpen: (open: Open) => void}} props */
function Users({ store, onOpen }) {
  const users = store.value.value;
  if (!users && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${store.refresh} />`;
  }
  if (!users) return html`<${Loading} what="the users" rows=${4} />`;
  if (users.length === 0) {
    return html`<${Empty} icon="users" title="No users yet">
      A user may press the quick actions, and sees what came of it, and nothing else.
      <span class="empty-action">
        <${Button} look="soft" icon="plus" onPress=${() => onOpen({ kind: "new" })}>New user<//>
      </span>
    <//>`;
  }
  return html`<${UserList}
    users=${users}
    onOpen=${(/** @type {"edit" | "password"} */ kind, /** @type {Account} */ user) => onOpen({ kind, user })}
    onChanged=${store.refresh}
  />`;
}

export function UsersView() {
  const store = useConnected(
    () => new PolledQuery(/** @returns {Promise<Account[]>} */ () => get("users")),
    [],
  );
  const [open, setOpen] = useState(/** @type {Open | null} */ (null));
  const close = () => setOpen(null);
  const done = () => {
    close();
    return store.refresh();
  };
  const ends = { onDone: done, onClose: close };
  return html`<header class="page-head">
      <h1 tabindex="-1">Users</h1>
      <${Button} look="primary" icon="plus" onPress=${() => setOpen({ kind: "new" })}>New user<//>
    </header>
    <section class="card flush" aria-label="Users"><${Users} store=${store} onOpen=${setOpen} /></section>
    <p class="muted">${ADMIN_NOTE}</p>
    ${open?.kind === "new" && html`<${NewUserDialog} ...${ends} />`}
    ${open?.kind === "edit" && html`<${EditUserDialog} user=${open.user} ...${ends} />`}
    ${open?.kind === "password" && html`<${ResetPasswordDialog} user=${open.user} ...${ends} />`}`;
}
