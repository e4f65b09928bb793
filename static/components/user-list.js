/**
 * The users as a table on a desk and as cards on a phone.
 * Runs on: the page.
 */
import { confirm } from "../lib/dialogs.js";
import { html } from "../lib/html.js";
import { user as self } from "../lib/session.js";
import { showToast } from "../lib/toasts.js";
import { changeUser, removeUser } from "../lib/user-changes.js";
import { Button } from "./button.js";
import { Moment } from "./time.js";

/** @import { Account } from "../lib/types.js" */
/** @typedef {(kind: "edit" | "password", user: Account) => void} OnOpen */

/** @param {Account} user */
const nameOf = (user) => user.display_name || user.username;

/** @param {Account} user */
const isSelf = (user) => user.id === self.value?.id;

/** @param {Account} user @param {() => void} onChanged */
async function disable(user, onChanged) {
  const whose = isSelf(user) ? "That is you. You are" : `${nameOf(user)} is`;
  const text = `${whose} logged out at once everywhere and cannot log in until enabled again. Runs that were started go on.`;
  if (!(await confirm({ title: `Disable ${nameOf(user)}?`, text, action: "Disable" }))) return;
  await changeUser(user.id, { is_active: false });
  showToast(`${nameOf(user)} is disabled and logged out.`, "success");
  onChanged();
}

/** @param {Account} user @param {() => void} onChanged */
async function enable(user, onChanged) {
  await changeUser(user.id, { is_active: true });
  showToast(`${nameOf(user)} can log in again.`, "success");
  onChanged();
}

/** @param {Account} user @param {() => void} onChanged */
async function remove(user, onChanged) {
  const text = `${nameOf(user)} is logged out at once and can never log in again. The runs stay in the history under the name ${user.username}.`;
  if (!(await confirm({ title: `Delete ${nameOf(user)}?`, text, action: "Delete" }))) return;
  await removeUser(user.id);
  showToast(`${nameOf(user)} is deleted.`, "success");
  onChanged();
}

/** @param {{user: Account, onOpen: OnOpen, onChanged: () => void}} props */
function Actions({ user, onOpen, onChanged }) {
  const name = nameOf(user);
  return html`<div class="row-actions">
    <${Button} look="quiet" icon="edit" label=${`Edit ${name}`} onPress=${() => onOpen("edit", user)} />
    <${Button} look="quiet" icon="key" label=${`New password for ${name}`} onPress=${() => onOpen("password", user)} />
    ${
      user.is_active
        ? html`<${Button} look="quiet" icon="lock" label=${`Disable ${name}`} onPress=${() => disable(user, onChanged)} />`
        : html`<${Button} look="quiet" icon="unlock" label=${`Enable ${name}`} onPress=${() => enable(user, onChanged)} />`
    }
    <${Button} look="quiet" icon="trash" label=${`Delete ${name}`} onPress=${() => remove(user, onChanged)} />
  </div>`;
}

/** @param {{name: string}} props */
function Initial({ name }) {
  return html`<span class="initial" aria-hidden="true">${[...name][0]?.toUpperCase() ?? "?"}</span>`;
}

/** @param {{user: Account, onOpen: OnOpen, onChanged: () => void}} props */
function Row(props) {
  const { user } = props;
  return html`<tr data-off=${!user.is_active}>
    <th scope="row" class="cell-main">
      <div class="identity">
        <${Initial} name=${nameOf(user)} />
        <span>
          <strong class="row-name">${nameOf(user)}</strong>${isSelf(user) && html` <span class="muted">(you)</span>`}
          <span class="muted identity-name">${user.username}</span>
        </span>
      </div>
    </th>
    <td class="cell-badge">
      <span class="badge" data-mood=${user.is_active ? "good" : "idle"}>${user.is_active ? "Enabled" : "Disabled"}</span>
    </td>
    <td data-name="Role">${user.role === "admin" ? "Administrator" : "User"}</td>
    <td data-name="Since"><${Moment} at=${user.created_at} /></td>
    <td class="cell-actions"><${Actions} ...${props} /></td>
  </tr>`;
}

/** @param {{users: Account[], onOpen: OnOpen, onChanged: () => void}} props */
export function UserList({ users, ...rest }) {
  return html`<table class="grid users">
    <thead>
      <tr>
        <th scope="col">User</th>
        <th scope="col">State</th>
        <th scope="col">Role</th>
        <th scope="col">Since</th>
        <td></td>
      </tr>
    </thead>
    <tbody>
      ${users.map((user) => html`<${Row} key=${user.id} user=${user} ...${rest} />`)}
    </tbody>
  </table>`;
}
