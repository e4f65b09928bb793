/**
 * The pages of the dashboard as data: the sidebar, the bar of a phone, its drawer, the palette and
 * the routes are all made from this one list.
 * Runs on: anywhere.
 */

/** @import { IconName } from "../components/icon.js" */

/**
 * @typedef {object} PageEntry
 * @property {string} href
 * @property {IconName} icon
 * @property {string} name what it is called everywhere
 * @property {"main" | "administration"} group
 * @property {boolean} [adminOnly]
 * @property {boolean} [primary] it may stand in the bar of a phone, where the first four fit
 * @property {string} [words] what else people may call it, for the palette
 */

/** How many pages stand in the bar of a phone, beside the way to all others. */
const IN_BAR = 4;

/** In the order in which they are shown.
 * @type {PageEntry[]} */
export const PAGES = [
  {
    href: "/",
    icon: "home",
    name: "Dashboard",
    group: "main",
    primary: true,
    words: "start overview home",
  },
  {
    href: "/monitor",
    icon: "monitor",
    name: "Monitor",
    group: "main",
    primary: true,
    words: "charts cpu memory disk network load processes machine",
  },
  {
    href: "/scripts",
    icon: "scripts",
    name: "Scripts",
    group: "main",
    adminOnly: true,
    primary: true,
    words: "run start terminal",
  },
  {
    href: "/history",
    icon: "history",
    name: "History",
    group: "main",
    primary: true,
    words: "runs output failures",
  },
  {
    href: "/quick-actions",
    icon: "actions",
    name: "Quick actions",
    group: "main",
    adminOnly: true,
    words: "buttons confirm order",
  },
  {
    href: "/plugins",
    icon: "plugin",
    name: "Plugins",
    group: "main",
    primary: true,
    words: "extensions health logs",
  },
  {
    href: "/users",
    icon: "users",
    name: "Users",
    group: "administration",
    adminOnly: true,
    words: "people accounts passwords",
  },
  {
    href: "/login-history",
    icon: "logins",
    name: "Login history",
    group: "administration",
    adminOnly: true,
    words: "attempts lockouts security",
  },
  {
    href: "/settings",
    icon: "settings",
    name: "Settings",
    group: "administration",
    adminOnly: true,
    words: "options folder limits retention version about",
  },
  {
    href: "/actors",
    icon: "actors",
    name: "Actors",
    group: "administration",
    adminOnly: true,
    words: "mailboxes load performance inside",
  },
];

/**
 * The pages that a role may open.
 * @param {boolean} isAdmin
 * @returns {PageEntry[]}
 */
export function pagesFor(isAdmin) {
  return PAGES.filter((page) => isAdmin || !page.adminOnly);
}

/**
 * The pages that stand in the bar of a phone.
 * @param {boolean} isAdmin
 * @returns {PageEntry[]}
 */
export function barPagesFor(isAdmin) {
  return pagesFor(isAdmin)
    .filter((page) => page.primary)
    .slice(0, IN_BAR);
}

/**
 * Whether an address lies on a page or below it. A plugin's page is an entry of its own.
 * @param {PageEntry} page
 * @param {string} pathname
 */
export function isOn(page, pathname) {
  if (pathname === page.href) return true;
  return page.href !== "/" && page.href !== "/plugins" && pathname.startsWith(`${page.href}/`);
}

/**
 * @param {string} pattern of a route
 * @returns {PageEntry | undefined} the page that the route belongs to
 */
export function pageOfRoute(pattern) {
  return PAGES.find((page) => page.href === pattern || isOn(page, pattern));
}
