/**
 * Everything that the sidebar of a desk has, on a phone: pages, plugins, colours, account.
 * Runs on: the page.
 */
import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { url } from "../lib/router.js";
import { Dialog } from "./dialog.js";
import { PageGroups } from "./navigation.js";
import { Person } from "./person.js";
import { ThemeChoice } from "./theme-choice.js";

/** @param {{onClose: () => void}} props */
export function Drawer({ onClose }) {
  const openedAt = useRef(url.value.href);
  const here = url.value.href;
  useEffect(() => {
    if (here !== openedAt.current) onClose();
  }, [here]);
  const closeAtLink = (/** @type {MouseEvent} */ event) => {
    if (event.target instanceof Element && event.target.closest("a")) onClose();
  };
  return html`<${Dialog} label="All pages" look="drawer" onClose=${onClose}>
    <div class="drawer-links" onClick=${closeAtLink}><${PageGroups} /></div>
    <${ThemeChoice} />
    <div onClick=${closeAtLink}><${Person} /></div>
    <button type="button" class="button plain" onClick=${onClose}>Close</button>
  <//>`;
}
