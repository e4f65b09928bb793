/**
 * The frame around every page: where to go, who is there, how the connection stands.
 * Runs on: the page.
 */
import { useEffect, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { plugins } from "../lib/plugins.js";
import { watchForUpdates } from "../lib/update-watch.js";
import { Connection, ConnectionBanner } from "./connection.js";
import { ConfirmDialog } from "./dialog.js";
import { Drawer } from "./drawer.js";
import { BottomBar, PageGroups } from "./navigation.js";
import { CommandPalette, PaletteButton } from "./palette.js";
import { Person } from "./person.js";
import { ThemeToggle } from "./theme-toggle.js";

/** @import { ComponentChildren } from "preact" */

const Brand = () =>
  html`<a class="brand" href="/"><img src="/favicon.svg" alt="" width="26" height="26" />Toru</a>`;

function Sidebar() {
  return html`<header class="side">
    <${Brand} />
    <${PaletteButton} look="wide" />
    <div class="side-links"><${PageGroups} /></div>
    <div class="side-foot">
      <div class="side-tools"><${Connection} /><${ThemeToggle} /></div>
      <${Person} />
    </div>
  </header>`;
}

/** What a phone shows instead of the sidebar, above the page. */
function TopBar() {
  return html`<header class="top-bar">
    <${Brand} />
    <${PaletteButton} look="small" />
  </header>`;
}

/** @param {{children: ComponentChildren}} props */
export function Shell({ children }) {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    plugins.connect();
    const stopWatching = watchForUpdates(socket);
    return () => {
      stopWatching();
      plugins.disconnect();
    };
  }, []);
  return html`<div class="shell">
    <a class="skip" href="#content">Skip to the content</a>
    <${Sidebar} />
    <${TopBar} />
    <main id="content" tabindex="-1">
      <${ConnectionBanner} />
      ${children}
    </main>
    <${BottomBar} isOpen=${isOpen} onMore=${() => setOpen(true)} />
    ${isOpen && html`<${Drawer} onClose=${() => setOpen(false)} />`}
    <${CommandPalette} />
    <${ConfirmDialog} />
  </div>`;
}
