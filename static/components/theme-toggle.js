/**
 * One button that moves on through system, light and dark.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { cycleTheme, theme } from "../lib/theme.js";
import { Button } from "./button.js";

const LOOKS = {
  system: { icon: "system", label: "Colours: as the system" },
  light: { icon: "sun", label: "Colours: light" },
  dark: { icon: "moon", label: "Colours: dark" },
};

export function ThemeToggle() {
  const { icon, label } = LOOKS[theme.value];
  return html`<${Button} look="quiet" icon=${icon} label=${label} onPress=${cycleTheme} />`;
}
