/**
 * What can be done from anywhere, beside going somewhere.
 * Runs on: the page.
 */
import { navigate } from "./router.js";
import { logout } from "./session.js";
import { setTheme, theme } from "./theme.js";

/** @import { Item } from "./palette-items.js" */
/** @import { Theme } from "./theme.js" */

/** Ends the session and shows the login page. */
export async function leave() {
  await logout();
  navigate("/login", { replace: true });
}

/** @type {{value: Theme, icon: Item["icon"], name: string}[]} */
const THEMES = [
  { value: "light", icon: "sun", name: "Light colours" },
  { value: "dark", icon: "moon", name: "Dark colours" },
  { value: "system", icon: "system", name: "Colours as the system" },
];

/** @returns {Item[]} */
export function commandItems() {
  const themes = THEMES.filter(({ value }) => value !== theme.value);
  return [
    ...themes.map(({ value, icon, name }) => ({
      id: `theme ${value}`,
      group: /** @type {const} */ ("Commands"),
      name,
      words: "theme mode appearance",
      icon,
      run: () => setTheme(value),
    })),
    {
      id: "account",
      group: "Commands",
      name: "Change your password",
      words: "account",
      icon: "key",
      run: () => navigate("/account"),
    },
    {
      id: "log out",
      group: "Commands",
      name: "Log out",
      words: "leave sign off exit",
      icon: "logout",
      run: leave,
    },
  ];
}
