/**
 * The ways to the pages: the groups of the sidebar and the drawer, and the bar of a phone.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { barPagesFor, isOn, pagesFor } from "../lib/pages.js";
import { path } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";
import { Icon } from "./icon.js";
import { PluginLinks } from "./plugin-links.js";

/** @import { PageEntry } from "../lib/pages.js" */

/** @param {{page: PageEntry}} props */
function PageLink({ page }) {
  return html`<a
    href=${page.href}
    aria-current=${isOn(page, path.value) ? "page" : undefined}
  >
    <${Icon} name=${page.icon} size=${20} /><span class="link-name">${page.name}</span>
  </a>`;
}

/** @param {{pages: PageEntry[]}} props */
const PageLinks = ({ pages }) =>
  html`${pages.map((page) => html`<${PageLink} key=${page.href} page=${page} />`)}`;

/** All pages by group, those of the plugins between them. */
export function PageGroups() {
  const pages = pagesFor(isAdmin.value);
  const administration = pages.filter((page) => page.group === "administration");
  return html`<nav class="links" aria-label="Pages">
      <${PageLinks} pages=${pages.filter((page) => page.group === "main")} />
    </nav>
    <${PluginLinks} />
    ${
      administration.length > 0 &&
      html`<nav class="links" aria-labelledby="administration">
        <h2 class="links-title" id="administration">Administration</h2>
        <${PageLinks} pages=${administration} />
      </nav>`
    }`;
}

/** @param {{onMore: () => void, isOpen: boolean}} props */
export function BottomBar({ onMore, isOpen }) {
  const pages = barPagesFor(isAdmin.value);
  const isElsewhere = !pages.some((page) => isOn(page, path.value));
  return html`<nav class="bottom-bar" aria-label="Main pages">
    <${PageLinks} pages=${pages} />
    <button
      type="button"
      aria-haspopup="dialog"
      aria-expanded=${isOpen}
      data-current=${isElsewhere}
      onClick=${onMore}
    >
      <${Icon} name="more" size=${20} /><span class="link-name">More</span>
    </button>
  </nav>`;
}
