/**
 * What an administrator can do with a plugin: switch it on and off, restart it.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { post, sentence } from "../lib/api.js";
import { confirm } from "../lib/dialogs.js";
import { html } from "../lib/html.js";
import { isMoving } from "../lib/plugin-list.js";
import { plugins } from "../lib/plugins.js";
import { showToast } from "../lib/toasts.js";
import { Button } from "./button.js";

/** @import { Plugin } from "../lib/types.js" */
/** @typedef {"enable" | "disable" | "restart"} Wish */

const DONE = { enable: "enabled and ready", disable: "disabled", restart: "ready again" };

/**
 * Asks for it and waits until it is so.
 * @param {Plugin} plugin
 * @param {Wish} wish
 */
async function ask(plugin, wish) {
  try {
    await post(`plugins/${encodeURIComponent(plugin.id)}/${wish}`);
    showToast(`${plugin.name} is ${DONE[wish]}.`, "success");
  } finally {
    await plugins.refresh();
  }
}

/** @param {Plugin} plugin */
function mayDisable(plugin) {
  const text = "Its page disappears and its process is ended. What it has stored is kept.";
  return confirm({ title: `Disable ${plugin.name}?`, text, action: "Disable" });
}

/** @param {{plugin: Plugin}} props */
export function PluginSwitch({ plugin }) {
  const [wish, setWish] = useState(/** @type {Wish | ""} */ (""));
  const press = async () => {
    if (wish || (plugin.enabled && !(await mayDisable(plugin)))) return;
    const wanted = plugin.enabled ? "disable" : "enable";
    setWish(wanted);
    try {
      await ask(plugin, wanted);
    } catch (error) {
      showToast(sentence(error), "error");
    } finally {
      setWish("");
    }
  };
  const isOn = wish ? wish === "enable" : plugin.enabled;
  const words = {
    enable: "Enabling…",
    disable: "Disabling…",
    restart: "",
    "": isOn ? "On" : "Off",
  };
  return html`<button
    type="button"
    class="switch"
    role="switch"
    aria-checked=${isOn}
    aria-busy=${wish !== ""}
    aria-disabled=${wish !== ""}
    aria-label=${`Enable ${plugin.name}`}
    onClick=${press}
  >
    <span class="switch-track" aria-hidden="true"></span><span aria-live="polite">${words[wish]}</span>
  </button>`;
}

/** @param {{plugin: Plugin, look?: "plain" | "quiet"}} props a quiet one shows only its icon */
export function RestartButton({ plugin, look = "plain" }) {
  return html`<${Button}
    look=${look}
    icon="again"
    label=${`Restart ${plugin.name}`}
    disabled=${!plugin.enabled || isMoving(plugin)}
    onPress=${() => ask(plugin, "restart")}
  >
    ${look === "plain" && "Restart"}
  <//>`;
}
