/**
 * The frame around every page: where to go, who is there, how the connection stands.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { navigate, path } from "../lib/router.js";
import { isAdmin, logout, user } from "../lib/session.js";
import { Button } from "./button.js";
import { ConfirmDialog } from "./dialog.js";
import { Icon } from "./icon.js";
import { PluginLinks } from "./plugin-links.js";
import { ThemeToggle } from "./theme-toggle.js";

/** @import { ComponentChildren } from "preact" */
/** @import { IconName } from "./icon.js" */

/** @type {{href: string, icon: IconName, name: string, adminOnly?: boolean}[]} */
const PAGES = [
  { href: "/", icon: "home", name: "Dashboard" },
  { href: "/scripts", icon: "scripts", name: "Scripts", adminOnly: true },
  { href: "/history", icon: "history", name: "History" },
  { href: "/plugins", icon: "plugin", name: "Plugins" },
];

/** @param {string} href */
function isCurrent(href) {
  if (href === "/" || href === "/plugins") return path.value === href;
  return path.value.startsWith(href);
}

function Navigation() {
  const pages = PAGES.filter((page) => isAdmin.value || !page.adminOnly);
  return html`<nav aria-label="Pages">
    ${pages.map(
      ({
        href,
        icon,
        name,
      }) => html`<a key=${href} href=${href} aria-current=${isCurrent(href) ? "page" : undefined}>
        <${Icon} name=${icon} size=${20} /><span>${name}</span>
      </a>`,
    )}
  </nav>`;
}

function Connection() {
  const status = socket.status.value;
  const words = status === "open" ? "Connected" : "Connecting…";
  return html`<p class="connection" data-status=${status} title=${words}>
    <span class="dot"></span><span>${words}</span>
  </p>`;
}

/** A lost connection is said where it cannot be missed; the first moments do not count. */
function ConnectionBanner() {
  if (socket.status.value !== "waiting") return null;
  return html`<p class="banner" role="status">
    <${Icon} name="alert" />The connection to the hub is lost. Trying again by itself…
  </p>`;
}

async function leave() {
  await logout();
  navigate("/login", { replace: true });
}

function Person() {
  const person = user.value;
  return html`<div class="person">
    <span class="person-name">
      <strong>${person?.display_name || person?.username}</strong>
      <span class="muted">${person?.username}${isAdmin.value && ", administrator"}</span>
    </span>
    <${Button} look="quiet" icon="logout" label="Log out" onPress=${leave} />
  </div>`;
}

/** @param {{children: ComponentChildren}} props */
export function Shell({ children }) {
  return html`<div class="shell">
    <a class="skip" href="#content">Skip to the content</a>
    <header class="side">
      <a class="brand" href="/"><img src="/favicon.svg" alt="" width="26" height="26" />Toru</a>
      <${Navigation} />
      <${PluginLinks} />
      <div class="side-foot">
        <div class="side-tools"><${Connection} /><${ThemeToggle} /></div>
        <${Person} />
      </div>
    </header>
    <main id="content" tabindex="-1">
      <${ConnectionBanner} />
      ${children}
    </main>
    <${ConfirmDialog} />
  </div>`;
}
