/**
 * The page's one list of plugins.
 * Runs on: the page.
 */
import { socket } from "./hub.js";
import { PluginStore } from "./plugin-store.js";

export const plugins = new PluginStore(socket);
