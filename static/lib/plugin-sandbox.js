/**
 * A plugin's page in a sandbox: a frame without an origin, that reaches nothing but what it is
 * given over one channel of messages.
 * Runs on: the page.
 */
import { getText } from "./api.js";
import { routeOf } from "./plugin-api.js";
import { SandboxHost } from "./sandbox-host.js";

/** @import { PluginApi, PluginPage } from "../../sdk/js/toru-plugin" */
/** @import { Plugin } from "./types.js" */
/** @typedef {Pick<Plugin, "id" | "route">} Place */

const ADDRESS = "/plugin-frame";
/** As `SANDBOX` in the hub's `toru/web/headers.py`, which the document says too. */
const ALLOWED = "allow-scripts allow-forms allow-downloads";
const ANSWERS_WITHIN_MS = 15_000;
const LONGEST_PX = 50_000;
const SHEETS = /\/styles\/(tokens|base|components|pages|plugins)\.css/;

const NO_ANSWER = "The page did not begin in its sandbox.";
const LEFT = "The page tried to leave its sandbox, and was ended.";

/** @returns {string[]} the dashboard's own styles, so that the page looks as elsewhere in it */
function styles() {
  const sheets = [...document.styleSheets].filter((sheet) => SHEETS.test(sheet.href ?? ""));
  return sheets.map((sheet) => [...sheet.cssRules].map((rule) => rule.cssText).join("\n"));
}

/** @param {PluginApi} api */
const look = ({ theme }) => ({ scheme: theme.scheme, tokens: { ...theme.tokens } });

class Frame {
  #place;
  #container;
  #api;
  #element = document.createElement("iframe");
  #channel = new MessageChannel();
  #host;
  #bundle;
  #onFailed;
  #loads = 0;
  #timer = 0;
  #isOpen = true;
  #hasBegun = false;
  /** @type {(() => void)[]} */
  #stops = [];
  /** @type {{resolve: () => void, reject: (error: Error) => void}} */
  #mounting = { resolve: () => {}, reject: () => {} };

  /**
   * @param {Place} place
   * @param {HTMLElement} container
   * @param {PluginApi} api
   * @param {string} bundle
   * @param {(sentence: string) => void} onFailed called when the page is ended later
   */
  constructor(place, container, api, bundle, onFailed) {
    this.#place = place;
    this.#container = container;
    this.#api = api;
    this.#bundle = bundle;
    this.#onFailed = onFailed;
    this.#host = new SandboxHost(
      api,
      (message, transfer = []) => this.#send(message, transfer),
      (sentence) => this.#fail(sentence),
    );
  }

  /** @returns {Promise<void>} settled when the page is mounted in there */
  open() {
    const element = this.#element;
    element.className = "plugin-frame";
    element.title = this.#api.plugin.name;
    element.setAttribute("sandbox", ALLOWED);
    element.setAttribute("referrerpolicy", "no-referrer");
    element.addEventListener("load", () => this.#loaded());
    element.src = ADDRESS;
    this.#timer = setTimeout(() => this.#fail(NO_ANSWER), ANSWERS_WITHIN_MS);
    return new Promise((resolve, reject) => {
      this.#mounting = { resolve: () => resolve(), reject };
      this.#container.append(element);
    });
  }

  close() {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    for (const stop of this.#stops.splice(0)) stop();
    this.#host.close();
    this.#channel.port1.close();
    this.#element.remove();
  }

  /** The frame's document is there; the only one that it may ever have. */
  #loaded() {
    this.#loads += 1;
    if (!this.#isOpen) return;
    if (this.#loads > 1) {
      this.#fail(LEFT);
      return;
    }
    const { port1, port2 } = this.#channel;
    port1.onmessage = ({ data }) => this.#take(data);
    // An origin that is none has no name to send to; what else is there was refused by the hub.
    this.#element.contentWindow?.postMessage({ type: "open" }, "*", [port2]);
  }

  #begin() {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    clearTimeout(this.#timer);
    const { user, plugin, path } = this.#api;
    const about = { user, plugin, path: path.value, look: look(this.#api), styles: styles() };
    const place = { id: this.#place.id, route: routeOf(this.#place) };
    this.#send({ type: "begin", bundle: this.#bundle, ...place, ...about });
    this.#stops.push(
      path.subscribe((value) => this.#send({ type: "path", value })),
      this.#api.theme.onChange(() => this.#send({ type: "look", look: look(this.#api) })),
    );
  }

  /** @param {any} message from the page, which may be meant badly */
  #take(message) {
    if (!this.#isOpen || this.#host.take(message)) return;
    if (message?.type === "here") this.#begin();
    else if (message?.type === "height") this.#size(message.px);
    else if (message?.type === "mounted") this.#mounting.resolve();
    else if (message?.type === "failed") this.#mounting.reject(new Error(String(message.message)));
  }

  /** @param {unknown} px */
  #size(px) {
    if (typeof px !== "number" || !(px >= 0)) return;
    this.#element.style.blockSize = `${Math.min(LONGEST_PX, Math.ceil(px))}px`;
  }

  /** @param {string} sentence */
  #fail(sentence) {
    this.close();
    this.#mounting.reject(new Error(sentence));
    this.#onFailed(sentence);
  }

  /** @param {object} message @param {Transferable[]} [transfer] */
  #send(message, transfer = []) {
    if (this.#isOpen) this.#channel.port1.postMessage(message, transfer);
  }
}

/**
 * Returns a plugin's page as one that runs in a frame of its own.
 * @param {Place} place the plugin's
 * @param {(sentence: string) => void} onFailed called when the page is ended after it was mounted
 * @returns {Promise<PluginPage>}
 * @throws {ApiError} the hub has no bundle to give
 */
export async function sandboxedPage(place, onFailed) {
  const bundle = await getText(`plugins/${encodeURIComponent(place.id)}/bundle.js`);
  /** @type {Frame | null} */
  let frame = null;
  return {
    mount: (container, api) => {
      frame = new Frame(place, container, api, bundle, onFailed);
      return frame.open();
    },
    unmount: () => frame?.close(),
  };
}
