/**
 * The few pictures the dashboard uses, drawn on a grid of 24.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";

const PATHS = {
  home: "M4 11.5 12 5l8 6.5M6.5 10v9h11v-9M10 19v-5h4v5",
  scripts: "M4 5.5h16v13H4zM7.5 9.5l3 2.5-3 2.5M12.5 15h4",
  history: "M12 7.5V12l3 2M4.6 14.5A8 8 0 1 0 5.5 7M5 3.5V7.5h4",
  logout: "M13.5 5H6v14h7.5M10.5 12H20M16.5 8.5 20 12l-3.5 3.5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  play: "M8 5.5v13l10.5-6.5z",
  stop: "M6.5 6.5h11v11h-11z",
  pause: "M8.5 6v12M15.5 6v12",
  follow: "M12 4.5v12M7 12l5 5 5-5M6 20h12",
  download: "M12 4v10.5M7.5 10.5 12 15l4.5-4.5M5 19.5h14",
  copy: "M9 9h10.5v10.5H9zM5.5 15H4.5V4.5H15v1",
  again: "M18.5 9A7.5 7.5 0 1 0 19.5 13M19 4.5V9h-4.5",
  trash: "M5 7h14M9.5 7V4.5h5V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 4.5 21 19.5H3zM12 10v4.5M12 17v.2",
  wait: "M7 4.5h10M7 19.5h10M8 4.5c0 4 4 5 4 7.5s-4 3.5-4 7.5M16 4.5c0 4-4 5-4 7.5s4 3.5 4 7.5",
  back: "M14.5 6 8.5 12l6 6",
  next: "M9.5 6l6 6-6 6",
  cpu: "M7 7h10v10H7zM10.5 10.5h3v3h-3zM9.5 3.5V7M14.5 3.5V7M9.5 17v3.5M14.5 17v3.5M3.5 9.5H7M3.5 14.5H7M17 9.5h3.5M17 14.5h3.5",
  memory: "M3.5 7.5h17v8h-17zM7 15.5V18M12 15.5V18M17 15.5V18M7.5 10.5v2M12 10.5v2M16.5 10.5v2",
  uptime: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 7.5V12l3 2",
  storage: "M4.5 6.5c0-3 15-3 15 0s-15 3-15 0v11c0 3 15 3 15 0v-11M4.5 12c0 3 15 3 15 0",
  bolt: "M13 3.5 5.5 13.5H11l-.5 7L18.5 10H13z",
  gone: "M5 12h14",
  plugin: "M9.5 6.5a2.5 2.5 0 0 1 5 0V8H19v4.5h-1.5a2.5 2.5 0 0 0 0 5H19v2H5V8h4.5z",
  open: "M13 5h6v6M19 5l-8.5 8.5M16.5 14v5H5V7.5h5",
  monitor: "M3.5 12.5H8l2.5-7 4 13 2.5-6h3.5",
  actions: "M13 3.5 5.5 13.5H11l-.5 7L18.5 10H13z",
  users:
    "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M3 19.5c.5-3.5 3-5 6-5s5.5 1.5 6 5M15.5 4.8a3.5 3.5 0 0 1 0 6.4M17.5 14.8c2 .7 3.2 2.2 3.5 4.7",
  logins: "M13.5 5H19v14h-5.5M4 12h9.5M10 8.5l3.5 3.5-3.5 3.5",
  settings:
    "M4 7h9M17 7h3M4 17h3M11 17h9M15 5a2 2 0 1 0 0 4 2 2 0 0 0 0-4M9 15a2 2 0 1 0 0 4 2 2 0 0 0 0-4",
  actors: "M9.5 4h5v4h-5zM3.5 16h5v4h-5zM15.5 16h5v4h-5zM12 8v4M6 16v-4h12v4",
  more: "M6 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2M12 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2M18 11a1 1 0 1 0 0 2 1 1 0 0 0 0-2",
  wrap: "M4.5 6.5h15M4.5 12h12a3.25 3.25 0 0 1 0 6.5H12M14.5 16 12 18.5l2.5 2.5M4.5 17.5H8",
  search: "M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12M15 15l5 5",
  account: "M12 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M5 19.5c.7-3.5 3.5-5 7-5s6.3 1.5 7 5",
  eye: "M2.5 12s3.5-6 9.5-6 9.5 6 9.5 6-3.5 6-9.5 6-9.5-6-9.5-6M12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5",
  eyeOff:
    "M4 4l16 16M9.5 6.4A9 9 0 0 1 12 6c6 0 9.5 6 9.5 6a17 17 0 0 1-3 3.600M6.3 7.5A16 16 0 0 0 2.5 12s3.5 6 9.5 6a9 9 0 0 0 4-.9M10.2 10.3a2.5 2.5 0 0 0 3.5 3.5",
  key: "M8.5 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8M11.3 12.2 20 3.5M17 6.5l3 3M14.5 9l2 2",
  plus: "M12 5v14M5 12h14",
  edit: "M4.5 19.5l1-4L16 5l3 3L8.5 18.5zM14 7l3 3",
  lock: "M6 11h12v8.5H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 14v2.5",
  unlock: "M6 11h12v8.5H6zM8.5 11V8a3.5 3.5 0 0 1 6.8-1.2M12 14v2.5",
  up: "M12 19V5.5M6.5 11 12 5.5 17.5 11",
  down: "M12 5v13.5M6.5 13l5.5 5.5 5.5-5.5",
  folder: "M3.5 7.5a2 2 0 0 1 2-2h4l2 2h7a2 2 0 0 1 2 2v7.5a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2z",
  filter: "M4 6h16M7.5 12h9M10.5 18h3",
  list: "M8.5 6.5H20M8.5 12H20M8.5 17.5H20M4.5 6.5h.1M4.5 12h.1M4.5 17.5h.1",
};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * @param {string} name
 * @returns {name is IconName}
 */
export function isIconName(name) {
  return Object.hasOwn(PATHS, name);
}

/**
 * @param {{name: IconName, size?: number}} props
 */
export function Icon({ name, size = 18 }) {
  return html`<svg
    class="icon"
    width=${size}
    height=${size}
    viewBox="0 0 24 24"
    aria-hidden="true"
    focusable="false"
  >
    <path d=${PATHS[name]} />
  </svg>`;
}

/**
 * What a quick action shows: an icon of ours by name, its own sign (an emoji), or a bolt.
 * @param {{name: string | null | undefined}} props
 */
export function ActionIcon({ name }) {
  if (name && isIconName(name)) return html`<${Icon} name=${name} />`;
  if (name && name.length <= 8 && !/[\w-]/.test(name))
    return html`<span class="emoji">${name}</span>`;
  return html`<${Icon} name="bolt" />`;
}
